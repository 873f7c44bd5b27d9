"""Mesh generator: optimises vertex colours of a fixed geometry."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.rasterise import Fragments, rasterise
from modeseek.generators.nerf.background import Background
from modeseek.generators.orbit import Orbit, per_item_streams
from modeseek.generators.rendering3d import Rendering3D
from modeseek.rng import Rng

_MARGIN = 1 / 512  # smallest distance of initial colours from 0 and 1, whose logits are infinite


@dataclass(frozen=True)
class SurfaceView(CameraView):
    """View of a surface: cameras and background draws, so that rendering a view is deterministic.

    Attributes:
        backdrop: background colour of each item; None is the background module's own.
        normals: whether a normal map is rendered.
    """

    backdrop: Float[Tensor, "n 3"] | None = None
    normals: bool = False

    def select(self, rows: slice) -> SurfaceView:
        backdrop = None if self.backdrop is None else self.backdrop[rows]
        return replace(self, items=self.items[rows], cameras=self.cameras.select(rows), backdrop=backdrop)


class Surface(nn.Module):
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

    def view(self, n: int, rng: Rng) -> SurfaceView:
        """Samples n cameras of the orbit and, for a random background, its colours.

        Raises:
            ValueError: n below 1, or streams of another number of items.
        """
        streams, items = per_item_streams(n, rng)
        cameras = self.orbit.draw(n, streams)
        return SurfaceView(items, cameras, self.size, self.background.draw(n, streams), self.normals)

    def view_from(self, cameras: Cameras, size: int | None = None, normals: bool = False) -> SurfaceView:
        """Returns the view from given cameras without random draws, for previews and evaluation."""
        return SurfaceView(tuple(range(len(cameras))), cameras, self.size if size is None else size, normals=normals)

    def forward(self, view: CameraView) -> Rendering3D:
        """Renders a view; a plain `CameraView` is rendered like a view of `view_from`."""
        surface_view = view if isinstance(view, SurfaceView) else self.view_from(view.cameras, view.size)
        vertices, faces = self.get_buffer("vertices"), self.get_buffer("faces")
        cameras = view.cameras.to(vertices)
        fine = view.size * self.samples
        fragments = rasterise(vertices, faces, cameras, fine, cull=self._closed)
        columns = [interpolate(fragments, faces, self.logits.sigmoid()), torch.ones_like(fragments.depth)[:, None]]
        columns.append(fragments.depth[:, None])
        if surface_view.normals:
            normals = interpolate(fragments, faces, self.mesh.normals)
            columns.append(nn.functional.normalize(normals, dim=-1, eps=1e-12))
        maps = _average_pool(fragments, torch.cat(columns, 1), (len(cameras), fine, self.samples))
        colour, opacity, sums = maps[:, :3], maps[:, 3:4], maps[:, 4:]
        means = sums / opacity.clamp(min=0.5 / self.samples**2)  # 0 where opacity is 0
        background = self.background(cameras.rays(view.size)[1], surface_view.backdrop)
        image = colour + (1 - opacity) * background
        return Rendering3D(view, image, opacity, means[:, :1], means[:, 1:] if surface_view.normals else None)


def interpolate(fragments: Fragments, faces: Tensor, values: Float[Tensor, "v c"]) -> Float[Tensor, "p c"]:
    """Interpolates vertex attributes at the visible points."""
    corners = values.index_select(0, faces[fragments.face].flatten()).reshape(-1, 3, values.shape[1])
    return (fragments.weights[..., None] * corners).sum(1)


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
