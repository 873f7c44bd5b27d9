"""Experiment on restoration: modes and posterior samples of images from measurements."""
