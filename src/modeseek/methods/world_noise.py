"""Noise fields in the world of a 3D shape: a camera sees the numbers of the surfaces and directions that it shows."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.rendering3d import Rendering3D
from modeseek.methods.base import RenderContext
from modeseek.methods.cell_assignment import assign_cells
from modeseek.methods.noise_maps import NoiseByParticle
from modeseek.rng import Rng, Streams, randn

_MOST_CELLS = 160  # along an axis by default: 33 MB a channel of 4 bytes
_FACES = 6


@dataclass(frozen=True)
class CellNoise(ABC):
    """Base class of noise made of cells in the world, drawn once per particle and seen by each of its cameras.

    A pixel of z takes samples^2 sub-samples. Where the render is opaque, depth and camera place one on the surface, in
    a cell of the object; elsewhere its direction lies in a cell of a cube map. Each cell belongs to one pixel of a view
    (`assign_cells`), whose noise is their sum with weights of unit norm; a pixel without a cell gets a
    new number. So within a view the noise is independent and standard normal exactly, and views of one surface share
    its numbers. Depth is that of the render before the update. Memory: cells times channels for each particle.

    Attributes:
        cells: number of cells along an axis of the object, >= 1; None: 2 per pixel of a side of z, at most 160.
        directions: number of cells along a side of each face of the cube map, >= 1; None: 6 per pixel of a side of z.
        samples: number of sub-samples along each side of a pixel of z, 1 to 16.
        radius: half the side of the cube that the cells of the object divide, world units, > 0; what is outside falls
            into the cells of its boundary.
        opaque: least opacity of a surface, in (0, 1].
    """

    cells: int | None = None
    directions: int | None = None
    samples: int = 4
    radius: float = 1.0
    opaque: float = 0.5

    def __post_init__(self) -> None:
        least = min(1 if number is None else number for number in (self.cells, self.directions))
        if least < 1 or not 1 <= self.samples <= 16 or not 0 < self.radius < math.inf or not 0 < self.opaque <= 1:
            raise ValueError(
                f"{type(self).__name__} needs cells, directions >= 1, samples 1 to 16, radius > 0, opaque in (0, 1], "
                f"got {self.cells}, {self.directions}, {self.samples}, {self.radius}, {self.opaque}"
            )

    @abstractmethod
    def object_cells(self, side: int) -> int:
        """Returns the number of cells of the object, `side` along each axis."""

    @abstractmethod
    def cells_at(self, place: Int[Tensor, "*n 3"], side: int) -> Int[Tensor, "*n m"]:
        """Returns the cells of the object that hold a point, given its integer coordinates, each in [0, side)."""

    def draw(
        self, noise_by_particle: NoiseByParticle, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> dict[int, Tensor]:
        """Returns the cells of the particles of these rows, (channels, number of cells): stored ones and new draws."""
        context, side, face = self._check(z, context)
        particles = tuple(dict.fromkeys(context.particle.tolist()))
        shape = (z.shape[1], self.object_cells(side) + _FACES * face**2)
        out: dict[int, Tensor] = {}
        for particle in particles:
            if particle not in noise_by_particle:
                source = rng.at(0, (particle,), f"{rng.use}/world") if isinstance(rng, Streams) else rng
                out[particle] = randn(shape, source, z)
                continue
            out[particle] = noise_by_particle[particle]
            if out[particle].shape != shape:
                raise ValueError(
                    f"particle {particle} must keep the shape {tuple(out[particle].shape)} of its noise, got {shape}; "
                    "try a new run"
                )
        return out

    def __call__(
        self, noise_by_particle: NoiseByParticle, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> Float[Tensor, "b *d"]:
        context, side, face = self._check(z, context)
        table, own = assign_cells(self.visible_cells(context, z), self.object_cells(side) + _FACES * face**2)
        source = rng
        if isinstance(rng, Streams):
            source = rng.at(rng.step, context.view.items, f"{rng.use}/uncovered")
        uncovered = randn(tuple(z.shape), source, z)  # new in each step
        weights = own.to(z) / self.shares(table, own, side).to(z).sqrt()
        rows = []
        for row, particle in enumerate(context.particle.tolist()):
            seen = (noise_by_particle[particle].to(z)[:, table[row]] * weights[row]).sum(-1)
            rows.append(torch.where(own[row].any(-1), seen, uncovered[row].flatten(1)).view(z.shape[1:]))
        return torch.stack(rows)

    def shares(self, table: Int[Tensor, "b p q"], own: Bool[Tensor, "b p q"], side: int) -> Int[Tensor, "b p #q"]:
        """Returns for each own cell of a pixel one over its share of the pixel's variance; the shares sum to 1."""
        return own.sum(-1, keepdim=True).clamp(min=1)

    def visible_cells(self, context: RenderContext, z: Float[Tensor, "b c h w"]) -> Int[Tensor, "b p s"]:
        """Returns the cell of each sub-sample of each pixel of z; -1 for none."""
        context, side, face = self._check(z, context)
        view, rendering = context.view, context.rendering
        assert isinstance(view, CameraView) and isinstance(rendering, Rendering3D)  # checked above
        b, size = len(z), z.shape[2]
        fine, dtype = size * self.samples, torch.promote_types(z.dtype, torch.float32)
        depth, opacity = (
            nn.functional.interpolate(part.detach().to(dtype), (fine, fine), mode="nearest-exact")[:, 0]
            for part in (rendering.depth, rendering.opacity)
        )
        cameras = view.cameras.to(depth)
        points, directions = _points(cameras, depth)
        place = ((points / self.radius + 1) / 2 * side).floor().long().clamp(0, side - 1)
        surface = self.cells_at(place, side)
        behind = torch.full_like(surface, -1)
        behind[..., 0] = self.object_cells(side) + _cube_map(directions, face)
        cells = torch.where((opacity >= self.opaque)[..., None], surface, behind)
        k = self.samples
        return cells.view(b, size, k, size, k, -1).permute(0, 1, 3, 2, 4, 5).reshape(b, size * size, -1)

    def _check(self, z: Tensor, context: RenderContext | None) -> tuple[RenderContext, int, int]:
        """Returns the context and the numbers of cells along the axes, after checking that there are cameras."""
        name = type(self).__name__
        if context is None:
            raise ValueError(f"{name} needs a context, got none; try context=RenderContext(...)")
        if not isinstance(context.view, CameraView) or not isinstance(context.rendering, Rendering3D):
            raise ValueError(
                f"{name} needs the cameras and the depth of a 3D generator, got a {type(context.view).__name__} and a "
                f"{type(context.rendering).__name__}; try noise=PerParticle()"
            )
        if z.ndim != 4 or z.shape[2] != z.shape[3]:
            raise ValueError(f"{name} needs square z (b, c, s, s), got {tuple(z.shape)}; try noise=PerParticle()")
        side = min(2 * z.shape[2], _MOST_CELLS) if self.cells is None else self.cells
        return context, side, 6 * z.shape[2] if self.directions is None else self.directions


@dataclass(frozen=True)
class Voxels(CellNoise):
    """Noise in the voxels of a cube around the object, and in directions behind it: FSD's world map, for any surface.

    See `CellNoise`. cells^3 numbers per channel.
    """

    def object_cells(self, side: int) -> int:
        return side**3

    def cells_at(self, place: Int[Tensor, "*n 3"], side: int) -> Int[Tensor, "*n m"]:
        return ((place[..., 0] * side + place[..., 1]) * side + place[..., 2])[..., None]


@dataclass(frozen=True)
class Triplanes(CellNoise):
    """Noise on three planes, as CFD has it: a pixel of the surface has the mean noise of its cells on each, normalised.

    See `CellNoise`. 3 cells^2 numbers per channel, far fewer than `Voxels`; points in line with an axis share a
    plane: opposite views along an axis are correlated (0.48 on a ball; 0.03 between the axes, `Voxels` 0.01).
    """

    def object_cells(self, side: int) -> int:
        return 3 * side**2

    def cells_at(self, place: Int[Tensor, "*n 3"], side: int) -> Int[Tensor, "*n m"]:
        planes = [(plane * side + place[..., plane]) * side + place[..., (plane + 1) % 3] for plane in range(3)]
        return torch.stack(planes, -1)

    def shares(self, table: Int[Tensor, "b p q"], own: Bool[Tensor, "b p q"], side: int) -> Int[Tensor, "b p #q"]:
        plane = (table // side**2).clamp(max=3).where(own, -1)  # 3: behind the object
        counts = torch.stack([(plane == k).sum(-1) for k in range(4)], -1)
        planes = (counts > 0).sum(-1, keepdim=True).clamp(min=1)
        count = counts.gather(-1, plane.clamp(min=0)).clamp(min=1)
        return planes * count


def _points(cameras: Cameras, depth: Float[Tensor, "b s s"]) -> tuple[Tensor, Tensor]:
    """Points in the world at a depth along the viewing axis, and the unit directions of their rays, (b, s, s, 3)."""
    position, directions = cameras.rays(depth.shape[1])
    forward = cameras.frame.forward[:, None, None]
    distance = depth / (directions * forward).sum(-1)
    return position[:, None, None] + distance[..., None] * directions, directions


def _cube_map(directions: Float[Tensor, "*n 3"], face: int) -> Int[Tensor, "*n"]:
    """Cell of each direction on a cube map of six faces of face x face cells: +x, -x, +y, -y, +z, -z."""
    size, axis = directions.abs().max(-1)
    u, v = (directions.gather(-1, ((axis + k) % 3)[..., None])[..., 0] / size for k in (1, 2))
    u, v = (((part + 1) / 2 * face).floor().long().clamp(0, face - 1) for part in (u, v))
    negative = (directions.gather(-1, axis[..., None])[..., 0] < 0).long()
    return ((2 * axis + negative) * face + u) * face + v
