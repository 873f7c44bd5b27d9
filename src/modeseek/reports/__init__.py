"""Pages: one self-contained HTML file a run, and what they are made of."""
