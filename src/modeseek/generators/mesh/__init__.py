"""Triangle meshes: extraction from a volume, rasterisation, and a generator of vertex colours."""
