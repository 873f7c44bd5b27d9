"""Shared parts of the experiments: result files, metric tables."""
