"""Figures of a run, as PNG and GIF files."""
