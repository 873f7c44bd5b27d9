"""Bibliography: the papers of methods, samplers, metrics and tools, in `references.bib`."""
