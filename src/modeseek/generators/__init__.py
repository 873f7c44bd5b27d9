"""Generators: differentiable image representations to optimise."""
