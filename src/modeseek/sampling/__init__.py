"""Samplers and likelihoods of a prior."""
