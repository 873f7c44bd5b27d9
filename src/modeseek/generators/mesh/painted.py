"""Mesh generator: optimises the texture of a fixed geometry."""

from __future__ import annotations

from typing import ClassVar

import torch

from modeseek.generators.background import Background
from modeseek.generators.camera import CameraView
from modeseek.generators.generator3d import Generator3D
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.placement import MeshPlacement
from modeseek.generators.mesh.render import render_mesh
from modeseek.generators.mesh.surface_points import SurfaceColours, SurfacePoints, vertex_points
from modeseek.generators.mesh.surface_texture import SurfaceTexture
from modeseek.generators.mesh.texture import TexturedMesh, bake_texture
from modeseek.generators.orbit import Orbit
from modeseek.generators.rendering3d import Rendering3D

_UNPLACED = MeshPlacement()


class PaintedMesh(Generator3D):
    """Generator that renders a mesh of fixed shape and optimises its texture, for any method.

    A pixel is the mean of samples^2 sub-pixels, each either background or the texture at the visible point. The shading
    is part of the texture. Parameters of the background, if any, are fixed unless passed to the optimizer.

    Args:
        mesh: the mesh, in world axes; its colours are not used.
        texture: texture of the mesh, which is optimised.
        placement: map between world axes and the file of the mesh, whose coordinates exports have.
        orbit: distribution of the training cameras.
        size: side length of the images in pixels, >= 1.
        background: background module; white by default.
        samples: number of sub-pixels along each side of a pixel, 1 to 8.
        normals: whether the views of `view` render normal maps.

    Raises:
        ValueError: a size below 1, or samples outside 1 to 8.
    """

    texture_size: int | None = 1024
    textured_faces: ClassVar[int | None] = None

    def __init__(
        self,
        mesh: Mesh,
        texture: SurfaceTexture,
        *,
        placement: MeshPlacement = _UNPLACED,
        orbit: Orbit | None = None,
        size: int = 64,
        background: Background | None = None,
        samples: int = 2,
        normals: bool = False,
    ) -> None:
        super().__init__()
        if size < 1 or not 1 <= samples <= 8:
            raise ValueError(
                f"a painted mesh needs size >= 1 and 1 to 8 samples along each side of a pixel, got size={size}, "
                f"samples={samples}"
            )
        self.texture, self.placement = texture, placement
        self.orbit = Orbit() if orbit is None else orbit
        self.background = Background(like=mesh.vertices) if background is None else background
        self.size, self.samples, self.normals = size, samples, normals
        self.register_buffer("vertices", mesh.vertices.detach().clone())
        self.register_buffer("faces", mesh.faces.clone())
        self._closed = mesh.closed

    @property
    def mesh(self) -> Mesh:
        """The mesh in world axes, with its texture at the vertices as vertex colours."""
        vertices, faces = self.get_buffer("vertices"), self.get_buffer("faces")
        with torch.no_grad():
            colours = self.texture(vertex_points(vertices, faces))
        return Mesh(vertices, faces, colours)

    def forward(self, view: CameraView) -> Rendering3D:
        """Renders a view."""
        vertices, faces = self.get_buffer("vertices"), self.get_buffer("faces")
        cameras = view.cameras.to(vertices)
        normals = self.mesh.normals if view.normals else None
        maps = render_mesh(vertices, faces, self.texture, normals, cameras, view.size, self.samples, self._closed)
        background = self.background(cameras.rays(view.size)[1], view.backdrop)
        return Rendering3D(view, maps.colour + (1 - maps.opacity) * background, maps.opacity, maps.depth, maps.normal)

    def surface_colours(self, mesh: Mesh, resolution: int | None = None) -> SurfaceColours:
        """Returns its texture at points on the faces of the mesh, in whichever coordinates."""
        vertices, texture = self.get_buffer("vertices"), self.texture.finished()
        return lambda points: texture(SurfacePoints(points.face, points.weights, points.faces, vertices))

    def textured_mesh(
        self, size: int, faces: int | None = None, resolution: int | None = None, level: float | None = None
    ) -> tuple[TexturedMesh, str]:
        """Returns the mesh with its texture, in the coordinates of its file; texels keep their own atlas."""
        atlas = self.texture.atlas
        if atlas is None or (faces is not None and faces < len(self.get_buffer("faces"))):
            return super().textured_mesh(size, faces, resolution, level)
        mesh, summary = self.extract_mesh()
        return bake_texture(mesh, size, self.surface_colours(mesh), atlas), summary

    def extract_mesh(self, resolution: int | None = None, level: float | None = None) -> tuple[Mesh, str]:
        """Returns the mesh in the coordinates of its file, with vertex colours, and a one-line summary of it.

        Args:
            resolution: not used: the mesh has its own.
            level: not used.
        """
        mesh = self.mesh
        placed = Mesh(self.placement.restore(mesh.vertices), mesh.faces, mesh.colours)
        return placed, f"{len(mesh.faces):,} faces, painted"
