"""Sweeps: the product of prompts or settings, methods and seeds, run on one machine or on a Ray cluster."""
