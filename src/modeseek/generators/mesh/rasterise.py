"""Differentiable mesh rasteriser: a z-buffer in plain torch, on any device, without a loop over faces."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.generators.camera import Cameras, pixel_centres

_NEAR = 1e-3  # depth of the near plane, world units
_PAIRS = 2**21  # (face, pixel) pairs tested at once
_NONE = 2**63 - 1  # key of a pixel without a face


@dataclass(frozen=True)
class Fragments:
    """Visible surface points of p of the n * s * s pixels; all others show no face.

    Attributes:
        pixel: ascending indices of the pixels, in view-major, then row-major order.
        face: index of the nearest face; the lowest index among equally near faces.
        weights: perspective-correct barycentric coordinates of the visible point, >= 0, summing to 1.
        depth: depth along the viewing axis, world units.
    """

    pixel: Int[Tensor, "p"]
    face: Int[Tensor, "p"]
    weights: Float[Tensor, "p 3"]
    depth: Float[Tensor, "p"]


def rasterise(
    vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"], cameras: Cameras, size: int, cull: bool = False
) -> Fragments:
    """Returns the nearest face at each pixel centre, with barycentric coordinates and depth.

    The ray of a pixel is d = (u, v, 1) in camera axes, the third being depth. With corners a, b, c in these axes, d
    hits the plane of the face at the weights d . (b x c), d . (c x a), d . (a x b), up to normalisation, and inside the
    face all three have the same sign: homogeneous rasterisation (Olano and Greer 1997, "Triangle scan conversion using
    2D homogeneous coordinates"). Faces that extend behind the camera need no clipping, and edges shared by two faces
    leave no gap, because both faces compute the same edge value up to its sign.

    Weights and depth are differentiable in the vertices while each pixel keeps its face; visibility is not, so
    silhouettes have no gradient. Attributes interpolated by the weights have exact gradients.

    Args:
        vertices: vertex positions in world axes.
        faces: vertex indices of the triangles; faces without area are never visible.
        cameras: the n cameras.
        size: side length of the images, pixels.
        cull: whether back faces are skipped; faster, and equivalent for closed meshes seen from outside.
    """
    n, camera_vertices = len(cameras), _to_camera_axes(vertices, cameras)
    with torch.no_grad():
        nearest = torch.full((n * size * size,), _NONE, dtype=torch.long, device=vertices.device)
        a, b, c = vertices[faces].unbind(1)
        area = (torch.linalg.cross(b - a, c - a) != 0).any(-1)
        view, face, first, width, count = _bounding_boxes(camera_vertices, faces, size, area.expand(n, -1), cull)
        corners = _corners(camera_vertices, faces, view, face)
        ends = count.cumsum(0)
        starts, numbers = ends - count, torch.arange(len(count), device=vertices.device)
        boxes = torch.stack([starts, width, first[:, 0], first[:, 1]])
        total = int(ends[-1]) if len(ends) else 0
        for begin in range(0, total, _PAIRS):
            end = min(begin + _PAIRS, total)
            held = (ends.clamp(max=end) - starts.clamp(min=begin)).clamp(min=0)  # pairs of each box among these
            box = numbers.repeat_interleave(held, output_size=end - begin)
            pair = torch.arange(begin, end, device=vertices.device)
            start, across, left, top = boxes.index_select(1, box)
            offset = pair - start
            down = offset // across
            row, column = top + down, left + offset - down * across
            edge = _edge_values(corners.index_select(1, box), row, column, size)
            inside = ((edge.amin(0) >= 0) | (edge.amax(0) <= 0)).nonzero()[:, 0]
            box, edge = box[inside], edge[:, inside]
            total_edge = edge.sum(0)
            depth = (edge * corners[6:].index_select(1, box)).sum(0)
            depth = depth / total_edge.masked_fill(total_edge == 0, torch.nan)  # no area: no hit
            hit = depth > _NEAR
            pixel = (view[box] * size + row[inside]) * size + column[inside]
            # Positive floats are ordered like their bits: the least key holds the nearest depth, then the lowest face.
            key = depth.float().view(torch.int32).long() << 32 | face[box]
            nearest.scatter_reduce_(0, pixel[hit], key[hit], "amin")
        pixel = (nearest < _NONE).nonzero()[:, 0]
        face = nearest[pixel] & (2**32 - 1)
    corners = _corners(camera_vertices, faces, pixel // size**2, face)
    edge = _edge_values(corners, pixel // size % size, pixel % size, size).T.contiguous()
    weights = edge / edge.sum(-1, keepdim=True)
    return Fragments(pixel, face, weights, (weights * corners[6:].T).sum(-1))


def _to_camera_axes(vertices: Tensor, cameras: Cameras) -> Float[Tensor, "n v 3"]:
    """Returns vertices in camera axes: right and up in half image widths at depth 1, depth in world units."""
    position, right, up, forward = (part.to(vertices) for part in cameras.frame)
    tangent = (cameras.fov.to(vertices) / 2).deg2rad().tan()[:, None]
    axes = torch.stack([right / tangent, up / tangent, forward], -1)
    return (vertices[None] - position[:, None]) @ axes


def _bounding_boxes(
    camera_vertices: Float[Tensor, "n v 3"],
    faces: Int[Tensor, "f 3"],
    size: int,
    allowed: Bool[Tensor, "n f"],
    cull: bool,
) -> tuple[Int[Tensor, "q"], Int[Tensor, "q"], Int[Tensor, "q 2"], Int[Tensor, "q"], Int[Tensor, "q"]]:
    """Returns view, face, first column and row, width and pixel count of all non-empty bounding boxes of faces."""
    depth = camera_vertices[..., 2]
    front = (depth > _NEAR).index_select(1, faces.flatten()).view(len(depth), -1, 3)
    flat = camera_vertices[..., :2] / depth.clamp(min=_NEAR)[..., None]
    flat = torch.stack([flat[..., 0], -flat[..., 1]], -1)
    # Pixel k has its centre at (2 k + 1) / size - 1. A margin of 1e-3 keeps pixels at the border despite rounding.
    position = ((flat + 1) * size - 1) / 2
    a, b, c = (position.index_select(1, corner) for corner in faces.unbind(1))
    low, high = torch.minimum(torch.minimum(a, b), c), torch.maximum(torch.maximum(a, b), c)
    low = (low - 1e-3).ceil().clamp(0, size).long()
    high = (high + 1e-3).floor().clamp(-1, size - 1).long()
    crosses_near = ~front.all(-1, keepdim=True)  # extends behind the camera: it may cover any pixel
    low, high = low.masked_fill(crosses_near, 0), high.masked_fill(crosses_near, size - 1)
    sides = (high - low + 1).clamp(min=0)
    visible = (sides > 0).all(-1) & front.any(-1) & allowed
    if cull:
        visible &= _faces_camera(camera_vertices, faces)
    view, face = visible.nonzero(as_tuple=True)
    first, sides = low[view, face], sides[view, face]
    return view, face, first, sides[:, 0], sides.prod(-1)


def _faces_camera(camera_vertices: Tensor, faces: Tensor) -> Tensor:
    """Returns whether each face is a front face; the camera axes right, up, forward are left-handed."""
    a, b, c = (camera_vertices.index_select(1, corner) for corner in faces.unbind(1))
    return (a * torch.linalg.cross(b - a, c - a)).sum(-1) > 0


def _corners(camera_vertices: Tensor, faces: Tensor, view: Tensor, face: Tensor) -> Float[Tensor, "9 q"]:
    """Returns the corners of faces in camera axes, one row per number: x of each corner, then y, then depth."""
    return camera_vertices[view[:, None], faces[face]].permute(2, 1, 0).reshape(9, -1).contiguous()


def _edge_values(
    corners: Float[Tensor, "9 p"], row: Int[Tensor, "p"], column: Int[Tensor, "p"], size: int
) -> Float[Tensor, "3 p"]:
    """Returns the three edge values of pixel rays.

    d . (b x c) is computed after moving b and c along d into the camera plane: the value is the same, and the small
    operands avoid cancellation.
    """
    centres = pixel_centres(size, device=corners.device).to(corners)
    depth = corners[6:]
    x, y = corners[:3] - centres[column] * depth, corners[3:6] + centres[row] * depth
    return torch.stack([x[i] * y[k] - y[i] * x[k] for i, k in ((1, 2), (2, 0), (0, 1))])
