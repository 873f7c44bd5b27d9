"""Comparisons of methods, each with a results table and a report."""
