"""Atlas of a mesh: texture coordinates of its faces by xatlas, and the surface points of texels."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.generators.camera import Cameras
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.rasterise import rasterise
from modeseek.generators.mesh.surface_points import SurfacePoints

SIZES = range(16, 8193)  # sides of a texture, pixels
_PADDING = 4  # texels between two charts
_BESIDE = 2  # texels around a chart that continue it


@dataclass(frozen=True)
class Atlas:
    """Texture coordinates of a mesh; vertices on seams are doubled.

    Attributes:
        origin: vertex of the mesh that each vertex of the atlas is.
        faces: vertices of the atlas of each face, in the order of the faces of the mesh.
        uv: texture coordinates in [0, 1]; (0, 0) is the lower left corner of the image.
    """

    origin: Int[Tensor, "a"]
    faces: Int[Tensor, "f 3"]
    uv: Float[Tensor, "a 2"]


def unwrap(mesh: Mesh, size: int) -> Atlas:
    """Unwraps a mesh by xatlas, with four texels between charts.

    Args:
        mesh: mesh to unwrap; 0.6 s for 4,000 faces on one core, 10 s for 30,000.
        size: side of the texture, pixels, 16 to 8192.

    Raises:
        ValueError: the size is out of its range, or xatlas is missing.
    """
    if size not in SIZES:
        raise ValueError(f"a texture must have {SIZES.start} to {SIZES.stop - 1} pixels a side, got {size}; try 1024")
    if find_spec("xatlas") is None:
        raise ValueError("a texture needs the package xatlas, which is missing; pip install 'modeseek[mesh]'")
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
    return Atlas(
        torch.from_numpy(origin.astype(np.int64)).to(device),
        torch.from_numpy(faces.astype(np.int64)).to(device),
        torch.from_numpy(uv.astype(np.float32)).to(mesh.vertices),
    )


@dataclass(frozen=True)
class Texels:
    """Texels of a texture that belong to a surface.

    Attributes:
        index: index of each texel, row-major, row 0 on top.
        points: its point on the surface, or beside its nearest face in that face's plane.
        nearest: for all size^2 texels the row of `index` whose texel is the nearest.
    """

    index: Int[Tensor, "p"]
    points: SurfacePoints
    nearest: Int[Tensor, "q"]


def texels(mesh: Mesh, atlas: Atlas, size: int) -> Texels:
    """Returns the surface points of the texels whose centres lie in a chart, and of two texels around each chart.

    Those around continue the surface in the plane of the nearest face, so that a bilinear look-up at the border of a
    chart mixes colours of the surface alone.

    Args:
        mesh: mesh that was unwrapped.
        atlas: its atlas.
        size: side of the texture, pixels.
    """
    # A camera at distance 1 with a field of view of 90 degrees sees the square [-1, 1]^2 of the plane z = 0.
    flat = torch.cat([2 * atlas.uv - 1, torch.zeros_like(atlas.uv[:, :1])], 1)
    camera = Cameras(*(torch.tensor([value]).to(flat) for value in (0.0, 0.0, 1.0, 90.0)))
    inside = rasterise(flat, atlas.faces, camera, size)
    covered = torch.zeros(size * size, dtype=torch.bool, device=flat.device)
    covered[inside.pixel] = True
    distance, nearest = _nearest(covered.view(size, size))
    beside = ((distance > 0) & (distance <= _BESIDE + 0.5)).flatten().nonzero()[:, 0]
    row = torch.full_like(nearest, -1)
    row[inside.pixel] = torch.arange(len(inside.pixel), device=row.device)
    face = inside.face[row[nearest[beside]]]
    centre = torch.stack([beside % size + 0.5, size - 0.5 - beside // size], -1).to(atlas.uv) / size
    weights = barycentric(centre, atlas.uv[atlas.faces[face]])
    covered[beside] = True
    index = torch.cat([inside.pixel, beside])
    row[index] = torch.arange(len(index), device=row.device)
    points = SurfacePoints(
        torch.cat([inside.face, face]), torch.cat([inside.weights, weights]), mesh.faces, mesh.vertices.detach()
    )
    _, nearest = _nearest(covered.view(size, size))
    return Texels(index, points, row[nearest])


def barycentric(points: Float[Tensor, "m 2"], corners: Float[Tensor, "m 3 2"]) -> Float[Tensor, "m 3"]:
    """Returns barycentric coordinates of points of the plane in triangles with an area."""
    a, b, c = corners.double().unbind(1)
    p = points.double()

    def area(first: Tensor, second: Tensor) -> Tensor:
        return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]

    whole = area(b - a, c - a)
    second, third = area(p - a, c - a) / whole, area(b - a, p - a) / whole
    return torch.stack([1 - second - third, second, third], -1).to(points)


def _nearest(covered: Bool[Tensor, "s s"]) -> tuple[Float[Tensor, "s s"], Int[Tensor, "q"]]:
    """Distance of every texel from the nearest covered one, texels, and its index."""
    from scipy.ndimage import distance_transform_edt

    found: Any = distance_transform_edt(~covered.cpu().numpy(), return_indices=True)
    distance, (rows, columns) = (torch.from_numpy(part).to(covered.device) for part in found)
    return distance.float(), (rows.long() * covered.shape[1] + columns).flatten()
