"""Rendering of a mesh: maps of colour, opacity, depth and normals, and a still image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.generators.camera import Cameras
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.rasterise import Fragments, rasterise
from modeseek.generators.mesh.surface_points import SurfaceColours, SurfacePoints
from modeseek.io.images import encode_png

_STILL_SIZE = 384  # side of a still image, pixels
STILL_CAMERA = (30.0, 20.0, 40.0)
"""Azimuth, elevation and full field of view of a still image, degrees: those of the viewers in HTML pages."""
STILL_MARGIN = 1.08
"""Radius of what a still image shows, in radii of the object."""


@dataclass(frozen=True)
class MeshMaps:
    """Maps of a rendered mesh, each pixel the mean of its sub-pixels.

    Attributes:
        colour: colour times opacity.
        opacity: share of the pixel that the mesh covers, in [0, 1].
        depth: mean depth of the covered part, world units; 0 where opacity is 0.
        normal: mean normal of the covered part, world axes; None unless rendered.
    """

    colour: Float[Tensor, "b 3 s s"]
    opacity: Float[Tensor, "b 1 s s"]
    depth: Float[Tensor, "b 1 s s"]
    normal: Float[Tensor, "b 3 s s"] | None


def render_mesh(
    vertices: Float[Tensor, "v 3"],
    faces: Int[Tensor, "f 3"],
    colours: SurfaceColours,
    normals: Float[Tensor, "v 3"] | None,
    cameras: Cameras,
    size: int,
    samples: int,
    cull: bool,
) -> MeshMaps:
    """Renders a mesh without a background, differentiably in its colours; in each sub-pixel it shows one point.

    Args:
        vertices: vertex positions, world units.
        faces: vertex indices of the triangles.
        colours: function from points on the surface to colours in [0, 1].
        normals: unit vertex normals; None renders no normal map.
        cameras: cameras, in the dtype of the vertices.
        size: side of the images, pixels.
        samples: number of sub-pixels along each side of a pixel.
        cull: whether faces seen from behind are left out, as nothing is lost on a closed mesh.
    """
    fine = size * samples
    fragments = rasterise(vertices, faces, cameras, fine, cull=cull)
    points = SurfacePoints(fragments.face, fragments.weights, faces, vertices)
    columns = [colours(points), torch.ones_like(fragments.depth)[:, None]]
    columns.append(fragments.depth[:, None])
    if normals is not None:
        columns.append(points.directions(normals))
    maps = _average_pool(fragments, torch.cat(columns, 1), (len(cameras), fine, samples))
    opacity, sums = maps[:, 3:4], maps[:, 4:]
    means = sums / opacity.clamp(min=0.5 / samples**2)  # 0 where opacity is 0
    return MeshMaps(maps[:, :3], opacity, means[:, :1], None if normals is None else means[:, 1:])


def render_still(mesh: Mesh, size: int = _STILL_SIZE, colours: SurfaceColours | None = None) -> bytes:
    """PNG of the mesh on white, from the first camera of the mesh viewer.

    Args:
        mesh: mesh to render.
        size: side of the image, pixels.
        colours: function from points on the surface to colours in [0, 1]; None interpolates the vertex colours.
    """
    middle = (mesh.vertices.amax(0) + mesh.vertices.amin(0)) / 2
    vertices = mesh.vertices.detach() - middle
    distance = (
        STILL_MARGIN * vertices.norm(dim=-1).max() / torch.tensor(STILL_CAMERA[2] / 2).deg2rad().sin().to(vertices)
    )
    azimuth, elevation, fov = (torch.tensor([angle]).to(distance) for angle in STILL_CAMERA)
    cameras = Cameras(azimuth, elevation, distance[None], fov)
    colours = colours or (lambda points: points.interpolate(mesh.colours.detach()))
    with torch.no_grad():
        maps = render_mesh(vertices, mesh.faces, colours, None, cameras, size, 2, mesh.closed)
    return encode_png((maps.colour + (1 - maps.opacity))[0])


def _average_pool(
    fragments: Fragments, values: Float[Tensor, "p c"], shape: tuple[int, int, int]
) -> Float[Tensor, "n c s s"]:
    """Averages sub-pixels to pixels, missing ones as 0; shape is (views, sub-pixels per side, sub-pixels per pixel)."""
    n, fine, samples = shape
    size = fine // samples
    view, row = fragments.pixel // fine**2, fragments.pixel // fine % fine
    column = fragments.pixel % fine
    pixel = (view * size + row // samples) * size + column // samples
    total = values.new_zeros(n * size * size, values.shape[1]).index_add(0, pixel, values)
    return total.view(n, size, size, -1).permute(0, 3, 1, 2) / samples**2
