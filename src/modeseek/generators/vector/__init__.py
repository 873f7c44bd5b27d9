"""Vector drawings: exact coverage, painter, paths, SVG in and out, and the generator."""
