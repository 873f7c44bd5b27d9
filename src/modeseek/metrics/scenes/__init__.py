"""Metrics of rendered scenes, where the ground truth is known."""
