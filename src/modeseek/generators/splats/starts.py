"""Initial splats: a ball, a point cloud, a mesh, or a volume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.mesh.extract import DensityField
from modeseek.generators.mesh.mesh import Mesh
from modeseek.rng import Rng, rand, randn

_MARGIN = 1 / 512  # smallest distance of initial colours from 0 and 1, whose logits are infinite
_CHUNK = 1024  # points whose distances are computed at once


@dataclass(frozen=True)
class StartingSplats:
    """Values of n splats.

    Attributes:
        means: centres, world units.
        quats: unit quaternions w, x, y, z.
        scales: standard deviations along the rotated axes, world units, > 0.
        opacities: peak opacities, in (0, 1).
        colors: colours, sRGB, in (0, 1).
    """

    means: Float[Tensor, "n 3"]
    quats: Float[Tensor, "n 4"]
    scales: Float[Tensor, "n 3"]
    opacities: Float[Tensor, "n"]
    colors: Float[Tensor, "n 3"]


@runtime_checkable
class SplatStart(Protocol):
    """Initial splats of a generator."""

    def splats(self, n: int, rng: Rng, like: Tensor) -> StartingSplats:
        """Returns n splats in the dtype and on the device of a tensor."""
        ...


@dataclass(frozen=True)
class Ball:
    """Round splats, uniform in a ball around the origin, in grey with some noise (DreamGaussian starts so).

    Attributes:
        radius: radius of the ball, world units, > 0.
        opacity: initial opacity, in (0, 1).
    """

    radius: float = 0.5
    opacity: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.radius < float("inf") or not 0 < self.opacity < 1:
            raise ValueError(f"a ball needs a positive radius and an opacity in (0, 1), got {self}; try Ball(0.5, 0.1)")

    def splats(self, n: int, rng: Rng, like: Tensor) -> StartingSplats:
        out = torch.nn.functional.normalize(randn((n, 3), rng, like), dim=-1)
        means = self.radius * out * rand((n, 1), rng, like) ** (1 / 3)
        return round_splats(means, 0.4 + 0.2 * rand((n, 3), rng, like), self.opacity)


@dataclass(frozen=True)
class GivenSplats:
    """Given splats, whose number must be the generator's.

    Attributes:
        values: the splats.
    """

    values: StartingSplats

    def splats(self, n: int, rng: Rng, like: Tensor) -> StartingSplats:
        values = self.values
        if n != len(values.means):
            raise ValueError(f"capacity must be {len(values.means)}, as in the given splats, got {n}")
        opacities, colors = values.opacities.to(like), values.colors.to(like)
        return StartingSplats(
            values.means.to(like),
            values.quats.to(like),
            values.scales.to(like),
            opacities.clamp(1e-6, 1 - 1e-6),
            colors.clamp(_MARGIN, 1 - _MARGIN),
        )


@dataclass(frozen=True)
class PointCloud:
    """Round splats at the points of a cloud, drawn with replacement where it has fewer.

    Attributes:
        points: points, world units.
        colors: colours, sRGB, in [0, 1].
        opacity: initial opacity, in (0, 1).
    """

    points: Float[Tensor, "m 3"]
    colors: Float[Tensor, "m 3"]
    opacity: float = 0.1

    def splats(self, n: int, rng: Rng, like: Tensor) -> StartingSplats:
        points, m = self.points.to(like), len(self.points)
        chosen = rand((m,), rng, like).argsort()[:n]
        repeated = (rand((max(0, n - m),), rng, like) * m).long()
        shift = 0.5 * neighbor_distance(points)[repeated, None] * randn((len(repeated), 3), rng, like)
        colors = self.colors.to(like)
        means = torch.cat([points[chosen], points[repeated] + shift])
        return round_splats(means, torch.cat([colors[chosen], colors[repeated]]), self.opacity)


@dataclass(frozen=True)
class MeshSurface:
    """Flat splats on a mesh, uniform over its area, in its colours.

    Attributes:
        mesh: the mesh, with vertex colours.
        opacity: initial opacity, in (0, 1).
        flatness: thickness relative to the width, in (0, 1].
    """

    mesh: Mesh
    opacity: float = 0.9
    flatness: float = 0.2

    def splats(self, n: int, rng: Rng, like: Tensor) -> StartingSplats:
        vertices, colours = self.mesh.vertices.to(like), self.mesh.colours.to(like)
        faces = self.mesh.faces.to(like.device)
        corners = vertices[faces]
        normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = normal.norm(dim=-1).cumsum(0)
        draws = rand((n, 3), rng, like)
        face = torch.searchsorted(area, draws[:, 0] * area[-1]).clamp(max=len(area) - 1)
        root, share = draws[:, 1].sqrt(), draws[:, 2]
        weights = torch.stack([1 - root, root * (1 - share), root * share], -1)[..., None]
        round_ones = round_splats(
            (corners[face] * weights).sum(1), (colours[faces[face]] * weights).sum(1), self.opacity
        )
        return flattened(round_ones, normal[face], self.flatness)


@dataclass(frozen=True)
class FromVolume:
    """Flat splats near the surface of a volume, across the gradient of its density, in its colours.

    Their cells are drawn in proportion to `a^2 t`, with a the share of light that a cell absorbs, and t the mean share
    of the light that reaches it from six sides: few lie in a thin haze, and few inside, where none would be seen. A
    volume after some steps of distillation is what point-cloud generators are used for elsewhere.

    Attributes:
        field: density and colour, such as `NeRF.density_field`.
        resolution: number of cells along each axis, >= 8.
        opacity: initial opacity, in (0, 1).
        flatness: thickness relative to the width, in (0, 1].
    """

    field: DensityField
    resolution: int = 64
    opacity: float = 0.5
    flatness: float = 0.5

    def splats(self, n: int, rng: Rng, like: Tensor) -> StartingSplats:
        radius, k = self.field.radius, self.resolution
        line = (2 * torch.arange(k, dtype=torch.float32) + 1) / k - 1
        cells = radius * torch.cartesian_prod(line, line, line)
        depth = self.field.at(cells).cpu().double().view(k, k, k) * 2 * radius / k  # optical, of a cell
        total = ((1 - torch.exp(-depth)).square() * _light(depth)).flatten().cumsum(0)
        if not total[-1] > 0:
            raise ValueError("a volume to start splats from must have some density, got none; try start=Ball()")
        draws = rand((n, 4), rng, like.cpu().float())
        chosen = torch.searchsorted(total, draws[:, 0].double() * total[-1]).clamp(max=len(cells) - 1)
        means = cells[chosen] + (2 * draws[:, 1:] - 1) * radius / k
        colors = torch.cat([color.float().cpu() for _, color in self.field.chunks(means)])
        splats = round_splats(means.to(like), colors.to(like), self.opacity)
        return flattened(splats, _gradient(depth)[chosen].to(like), self.flatness)


def _gradient(depth: Float[Tensor, "k k k"]) -> Float[Tensor, "n 3"]:
    """Direction of increase of a field at each of its cells, averaged over 5 cells; along z where there is none."""
    smooth = torch.nn.functional.avg_pool3d(depth[None, None], 5, 1, 2)[0, 0]
    gradient = torch.stack(torch.gradient(smooth), -1).flatten(0, 2)
    return torch.where(gradient.norm(dim=-1, keepdim=True) > 0, gradient, gradient.new_tensor([0.0, 0.0, 1.0]))


def _light(depth: Float[Tensor, "k k k"]) -> Float[Tensor, "k k k"]:
    """Mean share of the light that reaches each cell along the six axes, of optical depths."""
    total = torch.zeros_like(depth)
    for axis in range(3):
        before = depth.cumsum(axis) - depth
        behind = before.narrow(axis, -1, 1) + depth.narrow(axis, -1, 1) - before - depth
        total += torch.exp(-before) + torch.exp(-behind)
    return total / 6


def round_splats(means: Float[Tensor, "n 3"], colors: Float[Tensor, "n 3"], opacity: float) -> StartingSplats:
    """Returns round splats whose standard deviation is the distance to their nearest neighbours."""
    scale = neighbor_distance(means).clamp(min=1e-4)
    quats = means.new_zeros(len(means), 4)
    quats[:, 0] = 1
    return StartingSplats(
        means,
        quats,
        scale[:, None].expand(-1, 3).clone(),
        means.new_full((len(means),), opacity),
        colors.clamp(_MARGIN, 1 - _MARGIN),
    )


def flattened(splats: StartingSplats, normal: Float[Tensor, "n 3"], flatness: float) -> StartingSplats:
    """Returns round splats flattened along directions."""
    scales = splats.scales.clone()
    scales[:, 2] *= flatness
    return replace(splats, quats=quaternions_to(normal), scales=scales)


def neighbor_distance(points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    """Returns the root mean square distance of each point to its three nearest others."""
    k = min(4, len(points))
    if k < 2:
        return torch.full_like(points[:, 0], 0.1)
    nearest = [torch.cdist(chunk, points).topk(k, largest=False).values[:, 1:] for chunk in points.split(_CHUNK)]
    return torch.cat(nearest).square().mean(1).sqrt()


def quaternions_to(normal: Float[Tensor, "n 3"]) -> Float[Tensor, "n 4"]:
    """Returns rotations, w x y z, that take the z axis to directions, by the shorter arc."""
    x, y, z = torch.nn.functional.normalize(normal, dim=-1).unbind(-1)
    half = torch.stack([1 + z, -y, x, torch.zeros_like(z)], -1)
    upside_down = torch.tensor([0.0, 1.0, 0.0, 0.0]).to(half)
    return torch.where((z < -1 + 1e-6)[:, None], upside_down, torch.nn.functional.normalize(half, dim=-1))
