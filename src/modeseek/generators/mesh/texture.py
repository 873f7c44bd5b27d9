"""Textures of meshes: unwrapping by xatlas, and baking of colours into the atlas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.camera import Cameras
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.rasterise import rasterise

SIZES = range(16, 8193)  # sides of a texture, pixels
_PADDING = 4  # texels between two charts
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


def bake_texture(
    mesh: Mesh, size: int, colours: Callable[[Tensor, Tensor], Float[Tensor, "m 3"]] | None = None
) -> TexturedMesh:
    """Unwraps a mesh and bakes its colours into a texture.

    Each texel within a chart of the atlas belongs to one point of the surface; its colour is that of the point. Other
    texels take the colour of the nearest chart, so that filtering across the border of a chart shows no seam.

    Args:
        mesh: mesh to unwrap.
        size: side of the texture, pixels, 16 to 8192.
        colours: function from points and unit normals, (m, 3) each in world axes, to colours in [0, 1]; None
            interpolates the vertex colours.

    Raises:
        ValueError: the size is out of its range, or xatlas is missing.
    """
    if size not in SIZES:
        raise ValueError(f"a texture must have {SIZES.start} to {SIZES.stop - 1} pixels a side, got {size}; try 1024")
    if find_spec("xatlas") is None:
        raise ValueError("a texture needs the package xatlas, which is missing; pip install 'modeseek[mesh]'")
    origin, faces, uv = _unwrap(mesh, size)
    cut = Mesh(mesh.vertices[origin], faces, mesh.colours[origin])
    normals = mesh.normals[origin]
    # A camera at distance 1 with a field of view of 90 degrees sees the square [-1, 1]^2 of the plane z = 0.
    flat = torch.cat([2 * uv - 1, torch.zeros_like(uv[:, :1])], 1)
    camera = Cameras(*(torch.tensor([value]).to(flat) for value in (0.0, 0.0, 1.0, 90.0)))
    fragments = rasterise(flat, faces, camera, size)

    def at_texels(values: Tensor, rows: slice) -> Tensor:
        return (fragments.weights[rows, :, None] * values[faces[fragments.face[rows]]]).sum(1)

    parts = []
    for begin in range(0, len(fragments.pixel), _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        if colours is None:
            parts.append(at_texels(cut.colours, rows))
        else:
            unit = torch.nn.functional.normalize(at_texels(normals, rows), dim=-1, eps=1e-12)
            parts.append(colours(at_texels(cut.vertices, rows), unit))
    return TexturedMesh(cut, normals, uv, _fill(torch.cat(parts), fragments.pixel, size))


def _unwrap(mesh: Mesh, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the original vertex of each new vertex, the faces, and the texture coordinates."""
    import xatlas

    atlas = xatlas.Atlas()
    atlas.add_mesh(
        mesh.vertices.detach().float().cpu().numpy(),
        mesh.faces.cpu().numpy().astype(np.uint32),
        mesh.normals.detach().float().cpu().numpy(),
    )
    packing = xatlas.PackOptions()
    packing.resolution, packing.padding = size, _PADDING
    atlas.generate(pack_options=packing)
    origin, faces, uv = atlas[0]
    device = mesh.vertices.device
    return (
        torch.from_numpy(origin.astype(np.int64)).to(device),
        torch.from_numpy(faces.astype(np.int64)).to(device),
        torch.from_numpy(uv.astype(np.float32)).to(mesh.vertices),
    )


def _fill(colours: Float[Tensor, "p 3"], pixel: Tensor, size: int) -> Float[Tensor, "3 s s"]:
    """Texture of the colours of some texels; all others take that of the nearest."""
    from scipy.ndimage import distance_transform_edt

    image = torch.zeros(size * size, 3)
    image[pixel.cpu()] = colours.detach().float().cpu()
    covered = np.zeros(size * size, dtype=bool)
    covered[pixel.cpu().numpy()] = True
    nearest: Any = distance_transform_edt(~covered.reshape(size, size), return_distances=False, return_indices=True)
    rows, columns = (torch.from_numpy(index).long() for index in nearest)
    return image.view(size, size, 3)[rows, columns].permute(2, 0, 1)
