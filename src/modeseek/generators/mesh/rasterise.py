"""Which face each pixel sees, and where on it: a z-buffer in plain torch, on any device, without a loop over faces."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.generators.camera import Cameras, pixel_centres

_NEAR = 1e-3  # depth before which nothing is seen, world units
_PAIRS = 2**21  # (face, pixel) tested at once
_NONE = 2**63 - 1


@dataclass(frozen=True)
class Fragments:
    """What p of the n * s * s pixels see; all others see no face.

    Attributes:
        pixel: their numbers, view by view and row by row, rising.
        face: the nearest face there; of equally near ones that with the lowest number.
        weights: shares of the face's three corners at the place seen, correct in perspective: >= 0, sum 1.
        depth: along the viewing axis, world units.
    """

    pixel: Int[Tensor, "p"]
    face: Int[Tensor, "p"]
    weights: Float[Tensor, "p 3"]
    depth: Float[Tensor, "p"]


def rasterise(
    vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"], cameras: Cameras, size: int, cull: bool = False
) -> Fragments:
    """The nearest face through each pixel's centre.

    A pixel's ray is d = (u, v, 1) in camera axes, the third being depth. With corners a, b, c in those axes, d meets
    the face's plane at the weights d . (b x c), d . (c x a), d . (a x b), up to their sum, and inside of the face none
    differs in sign from the others: homogeneous rasterisation (Olano and Greer 1997, "Triangle scan conversion using
    2D homogeneous coordinates"). So faces that reach behind the camera need no clipping, and edges shared by two faces
    leave no gap: both compute the same number for it, up to its sign.

    Weights and depth are differentiable in the vertices as long as each pixel keeps its face; which face a pixel sees
    is not, so no gradient comes from silhouettes. What is interpolated by the weights has its exact gradient.

    Args:
        vertices: world axes.
        faces: vertex numbers; faces without area are never seen.
        cameras: n of them.
        size: side of the image, pixels.
        cull: leave out faces seen from behind; nothing changes for a closed mesh seen from outside, and it is faster.
    """
    n, seen = len(cameras), _axes(vertices, cameras)
    with torch.no_grad():
        nearest = torch.full((n * size * size,), _NONE, dtype=torch.long, device=vertices.device)
        a, b, c = vertices[faces].unbind(1)
        area = (torch.linalg.cross(b - a, c - a) != 0).any(-1)
        view, face, first, width, count = _boxes(seen, faces, size, area.expand(n, -1), cull)
        ends = count.cumsum(0)
        total = int(ends[-1]) if len(ends) else 0
        for begin in range(0, total, _PAIRS):
            number = torch.arange(begin, min(begin + _PAIRS, total), device=vertices.device)
            box = torch.searchsorted(ends, number, right=True)
            offset = number - (ends - count)[box]
            row, column = first[box, 1] + offset // width[box], first[box, 0] + offset % width[box]
            edge, depth = _edges(seen, faces, view[box], face[box], row, column, size)
            whole = edge.sum(-1)
            depth = (edge * depth).sum(-1) / whole.masked_fill(whole == 0, torch.nan)  # never hit: it has no area
            hit = ((edge >= 0).all(-1) | (edge <= 0).all(-1)) & (depth > _NEAR)
            pixel = ((view[box] * size + row) * size + column)[hit]
            # Depths above 0 are ordered as their bits are: depth and face in one number, the least of which is sought.
            key = depth[hit].float().view(torch.int32).long() << 32 | face[box[hit]]
            nearest.scatter_reduce_(0, pixel, key, "amin")
        pixel = (nearest < _NONE).nonzero()[:, 0]
        face = nearest[pixel] & (2**32 - 1)
    edge, depth = _edges(seen, faces, pixel // size**2, face, pixel // size % size, pixel % size, size)
    weights = edge / edge.sum(-1, keepdim=True)
    return Fragments(pixel, face, weights, (weights * depth).sum(-1))


def _axes(vertices: Tensor, cameras: Cameras) -> Float[Tensor, "n v 3"]:
    """Vertices in each camera's axes: right and up in half widths of the image at depth 1, depth in world units."""
    position, right, up, forward = (part.to(vertices) for part in cameras.frame)
    tangent = (cameras.fov.to(vertices) / 2).deg2rad().tan()[:, None]
    axes = torch.stack([right / tangent, up / tangent, forward], -1)
    return (vertices[None] - position[:, None]) @ axes


def _boxes(
    seen: Float[Tensor, "n v 3"], faces: Int[Tensor, "f 3"], size: int, allowed: Bool[Tensor, "n f"], cull: bool
) -> tuple[Int[Tensor, "q"], Int[Tensor, "q"], Int[Tensor, "q 2"], Int[Tensor, "q"], Int[Tensor, "q"]]:
    """Views, faces, first column and row, width and number of pixels of the boxes around faces that hold a pixel."""
    depth = seen[..., 2]
    front = depth[:, faces] > _NEAR
    flat = seen[..., :2] / depth.clamp(min=_NEAR)[..., None]
    flat = torch.stack([flat[..., 0], -flat[..., 1]], -1)
    # Pixel k has its centre at (2 k + 1) / size - 1. A hair more, so that rounding loses no pixel.
    place = ((flat + 1) * size - 1) / 2
    low, high = place[:, faces[:, 0]], place[:, faces[:, 0]]
    for corner in (1, 2):
        low, high = (
            torch.minimum(low, place[:, faces[:, corner]]),
            torch.maximum(high, place[:, faces[:, corner]]),
        )
    low = (low - 1e-3).ceil().clamp(0, size).long()
    high = (high + 1e-3).floor().clamp(-1, size - 1).long()
    across = ~front.all(-1, keepdim=True)  # reaches behind the camera: it may be seen anywhere
    low, high = low.masked_fill(across, 0), high.masked_fill(across, size - 1)
    sides = (high - low + 1).clamp(min=0)
    good = (sides > 0).all(-1) & front.any(-1) & allowed
    if cull:
        good &= _outside(seen, faces)
    view, face = good.nonzero(as_tuple=True)
    first, sides = low[view, face], sides[view, face]
    return view, face, first, sides[:, 0], sides.prod(-1)


def _outside(seen: Tensor, faces: Tensor) -> Tensor:
    """Whether the camera is on the outer side of each face; its axes right, up, forward are left-handed."""
    a, b, c = (seen[:, faces[:, corner]] for corner in range(3))
    return (a * torch.linalg.cross(b - a, c - a)).sum(-1) > 0


def _edges(
    seen: Tensor, faces: Tensor, view: Tensor, face: Tensor, row: Tensor, column: Tensor, size: int
) -> tuple[Float[Tensor, "p 3"], Float[Tensor, "p 3"]]:
    """Edge values of those pixels' rays, and the depths of the corners.

    d . (b x c) is computed after b and c were moved along d into the camera's plane: the value is the same, and what
    is left of them is small, so that nothing cancels.
    """
    across = pixel_centres(size, device=seen.device).to(seen)
    ray = torch.stack([across[column], -across[row]], -1)
    corners = seen[view[:, None], faces[face]]
    depth = corners[..., 2]
    x, y = (corners[..., :2] - ray[:, None] * depth[..., None]).unbind(-1)
    edges = [x[:, i] * y[:, k] - y[:, i] * x[:, k] for i, k in ((1, 2), (2, 0), (0, 1))]
    return torch.stack(edges, -1), depth
