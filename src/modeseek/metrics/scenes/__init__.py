"""Metrics on rendered scenes with known ground truth: caption accuracy, shape, Janus faces."""
