"""Base class of 3D generators: views from any camera, density, mesh and exports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.background import Background
from modeseek.generators.base import Artifact, BaseGenerator
from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.export import depth_normal_strips, encode_glb, encode_ply
from modeseek.generators.mesh.extract import DensityField, extract
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.render import render_still
from modeseek.generators.orbit import Orbit, per_item_streams
from modeseek.generators.rendering3d import Rendering3D
from modeseek.io.images import encode_gif, encode_png
from modeseek.io.video import encode_mp4
from modeseek.rng import Rng

_PREVIEW_VIEWS = 6
_MESH_RESOLUTION = 96  # density samples along each axis
_TURNTABLE_FRAMES, _TURNTABLE_SIZE = 36, 128  # number of frames; least side of a frame, pixels
_TURNTABLE_SECONDS = 4.0
_STRIP_SIZE = 192  # least side of a strip image, pixels
_STRIP_VIEWS = 6


class Generator3D(BaseGenerator, ABC):
    """Generator of a 3D object, rendered from any camera; one item per camera.

    Attributes:
        orbit: distribution of the training cameras.
        size: side of the rendered images, pixels.
        background: background behind the object.
        normals: whether the views of `view` render normal maps.
    """

    is_3d: ClassVar[bool] = True
    orbit: Orbit
    size: int
    background: Background
    normals: bool

    @abstractmethod
    def forward(self, view: CameraView) -> Rendering3D:
        """Renders a view."""

    @property
    def density_field(self) -> DensityField | None:
        """Its density; None if it has none."""
        return None

    def view(self, n: int, rng: Rng) -> CameraView:
        """Samples n cameras of the orbit and, for a random background, its colours.

        Raises:
            ValueError: n below 1, or streams of another number of items.
        """
        streams, items = per_item_streams(n, rng)
        cameras = self.orbit.draw(n, streams)
        return CameraView(items, cameras, self.size, self.normals, self.background.draw(n, streams))

    def view_from(self, cameras: Cameras, size: int | None = None, normals: bool = False) -> CameraView:
        """Returns the view from given cameras without random draws, for previews and evaluation."""
        return CameraView(tuple(range(len(cameras))), cameras, self.size if size is None else size, normals)

    def preview_view(self) -> CameraView:
        """Returns the view of previews and exports: six cameras on a ring."""
        return self.view_from(self.orbit.ring(_PREVIEW_VIEWS))

    def extract_mesh(self) -> tuple[Mesh, str]:
        """Returns the mesh of its visible surface, and a one-line summary of it.

        Raises:
            ValueError: it has no surface, or scikit-image is missing.
        """
        density = self.density_field
        if density is None:
            raise ValueError(f"a mesh needs a density, which a {type(self).__name__} does not have")
        with torch.no_grad():
            extracted = extract(density, _MESH_RESOLUTION)
        return extracted.mesh, extracted.summary

    def exports(self, decode: Callable[[Tensor], Tensor] | None = None, video: bool = False) -> Iterator[Artifact]:
        """Yields the renderings (see `BaseGenerator.exports`), a turntable, depth and normal strips, and the mesh.

        Without a surface a note says why there is no mesh.
        """
        yield from super().exports(decode, video)
        frames = self._turntable(_TURNTABLE_FRAMES, max(_TURNTABLE_SIZE, self.size))
        yield Artifact("media/turntable.gif", encode_gif(frames, _TURNTABLE_SECONDS))
        if video:
            fps = round(_TURNTABLE_FRAMES / _TURNTABLE_SECONDS)
            yield Artifact("media/turntable.mp4", encode_mp4(frames, fps))
        sides = encode_png(self._strips(_STRIP_VIEWS, max(_STRIP_SIZE, self.size)))
        yield Artifact("media/sides.png", sides, "turntable and depth and normal strips written")
        try:
            mesh, summary = self.extract_mesh()
        except ValueError as error:
            yield Artifact("exports/mesh.glb", None, f"no mesh was written: {error}")
            return
        yield Artifact("exports/mesh.glb", encode_glb(mesh))
        yield Artifact("exports/mesh.ply", encode_ply(mesh))
        yield Artifact("exports/mesh.png", render_still(mesh), f"mesh written: {summary}")

    @torch.no_grad()
    def _turntable(self, n: int, size: int) -> Float[Tensor, "n 3 s s"]:
        """Renders a full circle of n cameras, one at a time."""
        ring = self.orbit.ring(n)
        return torch.cat([self(self.view_from(ring.select(k), size)).image.cpu() for k in range(n)])

    @torch.no_grad()
    def _strips(self, n: int, size: int) -> Float[Tensor, "3 h w"]:
        """Renders image, depth and normals of n views, one column each."""
        strips = depth_normal_strips(self(self.view_from(self.orbit.ring(n), size, normals=True)))
        return torch.cat([torch.cat(strip.split(size, -1), 1) for strip in strips], -1)
