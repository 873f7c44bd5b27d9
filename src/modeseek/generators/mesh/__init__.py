"""Triangle meshes: extraction from a volume, rasterisation, and a generator of vertex colours."""

from __future__ import annotations

from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.surface import Surface, SurfaceView

__all__ = ["Mesh", "Surface", "SurfaceView"]
