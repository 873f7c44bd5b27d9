"""The run folder: what is written, when, and how it survives."""
