"""Textures of meshes: baking of colours of the surface into an atlas."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.mesh.atlas import SIZES, Atlas, texels, unwrap
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.seams import Seams, bilinear, sew
from modeseek.generators.mesh.surface_points import SurfaceColours, SurfacePoints

__all__ = ["SIZES", "TexturedMesh", "bake_texture"]
_CHUNK = 2**17  # texels per evaluation of the colours


@dataclass(frozen=True)
class TexturedMesh:
    """A triangle mesh with a texture; vertices on seams of the atlas are doubled.

    Attributes:
        mesh: the mesh with its vertex colours.
        normals: unit vertex normals of the mesh before its seams were cut.
        uv: texture coordinates in [0, 1]; (0, 0) is the lower left corner of the image.
        image: texture in [0, 1], sRGB, row 0 on top.
    """

    mesh: Mesh
    normals: Float[Tensor, "v 3"]
    uv: Float[Tensor, "v 2"]
    image: Float[Tensor, "3 s s"]

    def colours(self, points: SurfacePoints) -> Float[Tensor, "m 3"]:
        """Returns the texture at points on the faces of the mesh, looked up bilinearly."""
        index, weights = bilinear(points.interpolate(self.uv.to(points.weights)), self.image.shape[1])
        texels = self.image.flatten(1).T.to(points.weights)
        return (weights[..., None] * texels[index]).sum(1)


@torch.no_grad()
def bake_texture(
    mesh: Mesh, size: int, colours: SurfaceColours | None = None, atlas: Atlas | None = None
) -> TexturedMesh:
    """Unwraps a mesh and bakes its colours into a texture.

    Each texel within a chart of the atlas belongs to one point of the surface; its colour is that of the point. Texels
    up to two beside a chart belong to the plane of its nearest face, and the others take the colour of the nearest
    texel; then the two sides of each seam are made equal (`sew`). Filtering across the border of a chart shows no seam.

    Args:
        mesh: mesh to unwrap.
        size: side of the texture, pixels, 16 to 8192.
        colours: function from points on the surface of the mesh to colours in [0, 1]; None interpolates the vertex
            colours.
        atlas: atlas of the mesh; None unwraps it.

    Raises:
        ValueError: the size is out of its range, or xatlas is missing.
    """
    atlas = unwrap(mesh, size) if atlas is None else atlas
    of_surface, parts = texels(mesh, atlas, size), []
    for begin in range(0, len(of_surface.index), _CHUNK):
        points = of_surface.points.select(slice(begin, begin + _CHUNK))
        parts.append(points.interpolate(mesh.colours) if colours is None else colours(points))
    image = sew(torch.cat(parts)[of_surface.nearest], Seams.of(atlas, size)).clamp(0, 1)
    image = image.view(size, size, 3).permute(2, 0, 1)
    cut = Mesh(mesh.vertices[atlas.origin], atlas.faces, mesh.colours[atlas.origin])
    return TexturedMesh(cut, mesh.normals[atlas.origin], atlas.uv, image.float().cpu())
