"""A mesh as a generator: the colours of its vertices are optimised, its shape stands."""

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

_EDGE = 1 / 512  # colours start at least this far from 0 and 1, whose logits are infinite


@dataclass(frozen=True)
class SurfaceView(CameraView):
    """Cameras and what was drawn behind the surface, so that the same view is always the same picture.

    Attributes:
        backdrop: each item's background colour; None: the background's own.
        normals: whether normals are rendered too.
    """

    backdrop: Float[Tensor, "n 3"] | None = None
    normals: bool = False

    def select(self, rows: slice) -> SurfaceView:
        backdrop = None if self.backdrop is None else self.backdrop[rows]
        return replace(self, items=self.items[rows], cameras=self.cameras.select(rows), backdrop=backdrop)


class Surface(nn.Module):
    """A mesh whose vertex colours are parameters: the second stage after a volume, for any method.

    A pixel is the mean of samples^2 sub-pixels, each either background or the colour interpolated between the corners
    of the face that it sees. Colours are sigmoids of the parameters, so they stay in (0, 1) and a gradient always
    reaches them. Adam with rate 0.02 to 0.1 suits them. The background's parameters, if it has any, are kept as they
    are unless the optimiser is given them.

    Args:
        mesh: the surface; its colours are the starts.
        orbit: where cameras are drawn.
        size: side of the pictures, pixels.
        background: white by default; a volume's own may be handed on.
        samples: sub-pixels along each side of a pixel, 1 to 8.
        normals: whether `view` asks for normals too.

    Raises:
        ValueError: a size below 1, or a number of samples out of its range.
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
                f"a surface needs a size of 1 or more and 1 to 8 samples along each side of a pixel: got size={size}, "
                f"samples={samples}; mend them"
            )
        self.orbit = Orbit() if orbit is None else orbit
        self.background = Background(like=mesh.colours) if background is None else background
        self.size, self.samples, self.normals = size, samples, normals
        self.logits = nn.Parameter(mesh.colours.detach().clamp(_EDGE, 1 - _EDGE).logit())
        self.register_buffer("vertices", mesh.vertices.detach().clone())
        self.register_buffer("faces", mesh.faces.clone())
        self._closed = mesh.closed

    @property
    def mesh(self) -> Mesh:
        """The surface with the colours it has now."""
        return Mesh(self.get_buffer("vertices"), self.get_buffer("faces"), self.logits.detach().sigmoid())

    def view(self, n: int, rng: Rng) -> SurfaceView:
        """n cameras of the orbit and, where the background is random, its colours.

        Raises:
            ValueError: n below 1, or streams of another number of items.
        """
        streams, items = per_item_streams(n, rng)
        cameras = self.orbit.draw(n, streams)
        return SurfaceView(items, cameras, self.size, self.background.draw(n, streams), self.normals)

    def view_from(self, cameras: Cameras, size: int | None = None, normals: bool = False) -> SurfaceView:
        """Those cameras without anything random, for previews and evaluation."""
        return SurfaceView(tuple(range(len(cameras))), cameras, self.size if size is None else size, normals=normals)

    def forward(self, view: CameraView) -> Rendering3D:
        """The picture; a plain `CameraView` is rendered like one of `look`."""
        told = view if isinstance(view, SurfaceView) else self.view_from(view.cameras, view.size)
        vertices, faces = self.get_buffer("vertices"), self.get_buffer("faces")
        cameras = view.cameras.to(vertices)
        fine = view.size * self.samples
        found = rasterise(vertices, faces, cameras, fine, cull=self._closed)
        columns = [interpolate(found, faces, self.logits.sigmoid()), torch.ones_like(found.depth)[:, None]]
        columns.append(found.depth[:, None])
        if told.normals:
            normals = interpolate(found, faces, self.mesh.normals)
            columns.append(nn.functional.normalize(normals, dim=-1, eps=1e-12))
        maps = _average_pool(found, torch.cat(columns, 1), (len(cameras), fine, self.samples))
        colour, opacity, rest = maps[:, :3], maps[:, 3:4], maps[:, 4:]
        rest = rest / opacity.clamp(min=0.5 / self.samples**2)  # where opacity is 0 they are, too
        behind = self.background(cameras.rays(view.size)[1], told.backdrop)
        image = colour + (1 - opacity) * behind
        return Rendering3D(view, image, opacity, rest[:, :1], rest[:, 1:] if told.normals else None)


def interpolate(found: Fragments, faces: Tensor, values: Float[Tensor, "v c"]) -> Float[Tensor, "p c"]:
    """Values of the vertices at the places seen."""
    corners = values.index_select(0, faces[found.face].flatten()).reshape(-1, 3, values.shape[1])
    return (found.weights[..., None] * corners).sum(1)


def _average_pool(found: Fragments, values: Float[Tensor, "p c"], shape: tuple[int, int, int]) -> Float[Tensor, "n c s s"]:
    """Means over the sub-pixels of each pixel, of n views of that side with so many a pixel; unseen ones count as 0."""
    n, fine, samples = shape
    size = fine // samples
    view, row, column = found.pixel // fine**2, found.pixel // fine % fine, found.pixel % fine
    pixel = (view * size + row // samples) * size + column // samples
    total = values.new_zeros(n * size * size, values.shape[1]).index_add(0, pixel, values)
    return total.view(n, size, size, -1).permute(0, 3, 1, 2) / samples**2
