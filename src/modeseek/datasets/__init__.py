"""Datasets with known ground truth: 2-D distributions, handwritten digits, rendered scenes."""
