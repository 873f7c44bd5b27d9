"""Emoji exam: how often the nearest drawing to a sample is the one that its prompt names, and how near it is."""
