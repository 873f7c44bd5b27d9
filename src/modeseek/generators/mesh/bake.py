"""Baking of a mesh into a texture, on fewer faces if wished."""

from __future__ import annotations

from modeseek.generators.mesh.decimate import decimate
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.nearest import projected
from modeseek.generators.mesh.surface_points import SurfaceColours
from modeseek.generators.mesh.texture import TexturedMesh, bake_texture


def bake_decimated(mesh: Mesh, colours: SurfaceColours, size: int, faces: int | None) -> tuple[TexturedMesh, str]:
    """Returns a mesh of fewer faces with a texture of the original's colours, and what was changed, for a summary.

    A point of the decimated surface has the colour of the nearest point of the original.

    Args:
        mesh: mesh to decimate and unwrap.
        colours: function from points on this mesh to colours in [0, 1].
        size: side of the texture, pixels, 16 to 8192.
        faces: number of faces to decimate to; None keeps all.

    Raises:
        ValueError: an argument is out of its range, or a package is missing.
    """
    if faces is None or len(mesh.faces) <= faces:
        return bake_texture(mesh, size, colours), ""
    decimation = decimate(mesh, faces)
    return bake_texture(decimation.mesh, size, projected(mesh, colours)), f"; {decimation.summary}"
