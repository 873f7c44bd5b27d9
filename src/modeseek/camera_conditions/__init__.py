"""Camera-dependent conditions of a prior: view prompts, Perp-Neg views and multi-view cameras."""
