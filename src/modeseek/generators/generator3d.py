"""Base class of 3D generators: views from any camera, density, mesh and exports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.background import Background
from modeseek.generators.base import Artifact, BaseGenerator
from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.export import depth_normal_strips, encode_glb, encode_ply
from modeseek.generators.export_mesh import TEXTURED, encode_textured
from modeseek.generators.mesh.bake import bake_decimated
from modeseek.generators.mesh.extract import DensityField, extract, surface_colours
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.render import render_still
from modeseek.generators.mesh.surface_points import SurfaceColours
from modeseek.generators.mesh.texture import TexturedMesh
from modeseek.generators.orbit import Orbit, per_item_streams
from modeseek.generators.rendering3d import Rendering3D
from modeseek.generators.turntable import default_turntable
from modeseek.io.images import encode_png
from modeseek.io.video import FilmFormat, encode_film
from modeseek.rng import Rng

_PREVIEW_VIEWS = 6
MESH_RESOLUTION = 96  # density samples along each axis
_STRIP_SIZE = 192  # least side of a strip image, pixels
_STRIP_VIEWS = 6


class Generator3D(BaseGenerator, ABC):
    """Generator of a 3D object, rendered from any camera; one item per camera.

    Attributes:
        orbit: distribution of the training cameras.
        size: side of the rendered images, pixels.
        background: background behind the object.
        normals: whether the views of `view` render normal maps.
        texture_size: side of the texture that a run exports, pixels; None exports none.
        textured_faces: number of faces of the mesh with that texture, for which xatlas takes 0.6 s on one core; None
            keeps all.
    """

    is_3d: ClassVar[bool] = True
    texture_size: int | None = 512
    textured_faces: ClassVar[int | None] = 4000
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

    @property
    def item_labels(self) -> tuple[str, ...]:
        """Azimuths of the preview cameras: az000, az060 ..."""
        return tuple(f"az{round(angle) % 360:03d}" for angle in self.orbit.ring(_PREVIEW_VIEWS).azimuth.tolist())

    def render_at(self, size: tuple[int, int]) -> Iterator[Float[Tensor, "3 s s"]]:
        return self.render_frames(self.orbit.ring(_PREVIEW_VIEWS), max(size))

    def render_frames(self, cameras: Cameras, size: int) -> Iterator[Float[Tensor, "3 s s"]]:
        """Renders it from each camera in turn, without gradients; the images lie on the CPU.

        Args:
            cameras: cameras, one per frame.
            size: side of a frame, pixels.
        """
        for k in range(len(cameras)):
            with torch.no_grad():  # not around the yield: the caller may need gradients in between
                image = self(self.view_from(cameras.select(k), size)).image[0].cpu()
            yield image

    def extract_mesh(self, resolution: int | None = None, level: float | None = None) -> tuple[Mesh, str]:
        """Returns the mesh of its visible surface, and a one-line summary of it.

        Args:
            resolution: number of density samples along each axis, 8 to 512; None: 96.
            level: density at the surface, per world unit, > 0; None finds it (`surface_level`).

        Raises:
            ValueError: it has no surface, an argument is out of its range, or scikit-image is missing.
        """
        density = self.density_field
        if density is None:
            raise ValueError(f"a mesh needs a density, which a {type(self).__name__} does not have")
        with torch.no_grad():
            extracted = extract(density, MESH_RESOLUTION if resolution is None else resolution, level)
        return extracted.mesh, extracted.summary

    def surface_colours(self, mesh: Mesh, resolution: int | None = None) -> SurfaceColours:
        """Returns its colours at points on the mesh of `extract_mesh`, those of its density field if it has one.

        Args:
            mesh: the mesh.
            resolution: resolution at which it was extracted; None: 96.
        """
        density = self.density_field
        if density is None:
            return lambda points: points.interpolate(mesh.colours)
        step = 2 * density.radius / ((MESH_RESOLUTION if resolution is None else resolution) - 1)
        normals = mesh.normals
        return lambda points: surface_colours(density, points.positions, points.directions(normals), step)

    def textured_mesh(
        self, size: int, faces: int | None = None, resolution: int | None = None, level: float | None = None
    ) -> tuple[TexturedMesh, str]:
        """Returns the mesh of its visible surface with a texture of its colours, and a one-line summary of it.

        Args:
            size: side of the texture, pixels, 16 to 8192.
            faces: number of faces to decimate to; None keeps all.
            resolution: number of density samples along each axis, as of `extract_mesh`.
            level: density at the surface, as of `extract_mesh`.

        Raises:
            ValueError: there is no surface, an argument is out of its range, or a package is missing.
        """
        mesh, summary = self.extract_mesh(resolution, level)
        colours_of = partial(self.surface_colours, resolution=resolution)
        baked, change = bake_decimated(mesh, colours_of, size, faces, around=self.density_field is not None)
        return baked, f"{summary}{change}"

    def exports(
        self, decode: Callable[[Tensor], Tensor] | None = None, films: Sequence[FilmFormat] = ()
    ) -> Iterator[Artifact]:
        """Yields the renderings (see `BaseGenerator.exports`), turntables, depth and normal strips, and the mesh.

        Without a surface a note says why there is no mesh.
        """
        yield from super().exports(decode, films)
        for film in films:
            turn = default_turntable(self.size, all(tensor.is_cpu for tensor in self.state_dict().values()), film)
            frames = self.render_frames(self.orbit.ring(turn.frames), turn.size)
            path, note = f"media/turntable.{film}", f"turntable written: {turn.frames} frames of {turn.size} pixels"
            yield Artifact(path, encode_film(frames, film, turn.fps), note)
        sides = encode_png(self._strips(_STRIP_VIEWS, max(_STRIP_SIZE, self.size)))
        yield Artifact("media/sides.png", sides, "depth and normal strips written")
        try:
            mesh, summary = self.extract_mesh()
        except ValueError as error:
            yield Artifact("exports/mesh.glb", None, f"no mesh was written: {error}")
            return
        yield Artifact("exports/mesh.glb", encode_glb(mesh))
        yield Artifact("exports/mesh.ply", encode_ply(mesh))
        yield Artifact("exports/mesh.png", render_still(mesh), f"mesh written: {summary}")
        yield from self._textured_files()

    @torch.no_grad()
    def _strips(self, n: int, size: int) -> Float[Tensor, "3 h w"]:
        """Renders image, depth and normals of n views, one column each."""
        strips = depth_normal_strips(self(self.view_from(self.orbit.ring(n), size, normals=True)))
        return torch.cat([torch.cat(strip.split(size, -1), 1) for strip in strips], -1)

    def _textured_files(self) -> Iterator[Artifact]:
        """Yields the mesh with a texture, as GLB, and as OBJ with its material and its image; a note without xatlas."""
        if self.texture_size is None:
            return
        try:
            textured, summary = self.textured_mesh(self.texture_size, self.textured_faces)
        except ValueError as error:
            yield Artifact("exports/textured.glb", None, f"no texture was written: {error}")
            return
        notes = {"textured.glb": f"textured mesh written: {summary}"}
        for form in TEXTURED:
            for name, data in encode_textured(textured, form, "textured").items():
                yield Artifact(f"exports/{name}", data, notes.get(name, ""))
