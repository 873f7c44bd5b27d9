"""Toy benchmarks with known ground truth: 2-D distributions and digits."""
