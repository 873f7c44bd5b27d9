"""Typed configuration of runs, the registry of names, and safe YAML serialization."""
