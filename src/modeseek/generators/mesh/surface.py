"""Mesh generator: optimises vertex colours of a fixed geometry."""

from __future__ import annotations

from torch import nn

from modeseek.generators.background import Background
from modeseek.generators.camera import CameraView
from modeseek.generators.generator3d import Generator3D
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.render import render_mesh
from modeseek.generators.orbit import Orbit
from modeseek.generators.rendering3d import Rendering3D

_MARGIN = 1 / 512  # smallest distance of initial colours from 0 and 1, whose logits are infinite


class Surface(Generator3D):
    """Generator that renders a mesh and optimises its vertex colours; a second stage after a volume, for any method.

    A pixel is the mean of samples^2 sub-pixels, each either background or the interpolated vertex colour of the visible
    face. Colours are sigmoids of the parameters, so they stay in (0, 1) and always get a gradient. Recommended learning
    rate with Adam: 0.02 to 0.1. Parameters of the background, if any, are fixed unless passed to the optimizer.

    Args:
        mesh: the mesh; its colours are the initial values.
        orbit: distribution of the training cameras.
        size: side length of the images in pixels, >= 1.
        background: background module; white by default, may be that of the volume.
        samples: number of sub-pixels along each side of a pixel, 1 to 8.
        normals: whether the views of `view` render normal maps.

    Raises:
        ValueError: a size below 1, or samples outside 1 to 8.
    """

    def __init__(
        self,
        mesh: Mesh,
        *,
        orbit: Orbit | None = None,
        size: int = 64,
        background: Background | None = None,
        samples: int = 2,
        normals: bool = False,
    ) -> None:
        super().__init__()
        if size < 1 or not 1 <= samples <= 8:
            raise ValueError(
                f"a surface needs size >= 1 and 1 to 8 samples along each side of a pixel, got size={size}, "
                f"samples={samples}"
            )
        self.orbit = Orbit() if orbit is None else orbit
        self.background = Background(like=mesh.colours) if background is None else background
        self.size, self.samples, self.normals = size, samples, normals
        self.logits = nn.Parameter(mesh.colours.detach().clamp(_MARGIN, 1 - _MARGIN).logit())
        self.register_buffer("vertices", mesh.vertices.detach().clone())
        self.register_buffer("faces", mesh.faces.clone())
        self._closed = mesh.closed

    @property
    def mesh(self) -> Mesh:
        """The mesh with its current colours."""
        return Mesh(self.get_buffer("vertices"), self.get_buffer("faces"), self.logits.detach().sigmoid())

    def extract_mesh(self, resolution: int | None = None, level: float | None = None) -> tuple[Mesh, str]:
        """Returns the mesh with its current colours, and a one-line summary of it; resolution and level are its own."""
        return self.mesh, f"{len(self.mesh.faces):,} faces, colours refined"

    def forward(self, view: CameraView) -> Rendering3D:
        """Renders a view."""
        vertices, faces = self.get_buffer("vertices"), self.get_buffer("faces")
        cameras = view.cameras.to(vertices)
        normals = self.mesh.normals if view.normals else None
        colours = self.logits.sigmoid()
        maps = render_mesh(
            vertices,
            faces,
            lambda points: points.interpolate(colours),
            normals,
            cameras,
            view.size,
            self.samples,
            self._closed,
        )
        background = self.background(cameras.rays(view.size)[1], view.backdrop)
        return Rendering3D(view, maps.colour + (1 - maps.opacity) * background, maps.opacity, maps.depth, maps.normal)
