"""Priors: exact mixtures, empirical data sets, learned networks, diffusers pipelines, and wrappers that guide them."""
