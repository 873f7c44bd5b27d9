"""Noise schedules, predictions, noise levels and loss weights."""
