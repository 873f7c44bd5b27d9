"""Baking of a mesh into a texture, on fewer faces if wished."""

from __future__ import annotations

from collections.abc import Callable

from modeseek.generators.mesh.decimate import decimate
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.nearest import projected
from modeseek.generators.mesh.surface_points import SurfaceColours
from modeseek.generators.mesh.texture import TexturedMesh, bake_texture


def bake_decimated(
    mesh: Mesh, colours_of: Callable[[Mesh], SurfaceColours], size: int, faces: int | None, around: bool
) -> tuple[TexturedMesh, str]:
    """Returns a mesh of fewer faces with a texture of the original's colours, and what was changed, for a summary.

    Args:
        mesh: mesh to decimate and unwrap.
        colours_of: function from a mesh to its colours at points on it.
        size: side of the texture, pixels, 16 to 8192.
        faces: number of faces to decimate to; None keeps all.
        around: whether the colours are defined around the surface, too; else a point of the decimated surface has the
            colour of the nearest point of the original.

    Raises:
        ValueError: an argument is out of its range, or a package is missing.
    """
    if faces is None or len(mesh.faces) <= faces:
        return bake_texture(mesh, size, colours_of(mesh)), ""
    decimation = decimate(mesh, faces)
    colours = colours_of(decimation.mesh) if around else projected(mesh, colours_of(mesh))
    return bake_texture(decimation.mesh, size, colours), f"; {decimation.summary}"
