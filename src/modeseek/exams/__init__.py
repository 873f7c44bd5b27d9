"""Exams of text-to-image priors: how often a sample shows what its prompt says."""
