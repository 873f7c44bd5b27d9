"""Mesh extraction from a volume: marching cubes at the visible surface level, with baked vertex colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.parts import MeshParts, remove_floaters
from modeseek.generators.mesh.surface_level import surface_level

_CHUNK = 2**17  # points per evaluation
_COLOUR_SAMPLES = 8  # samples of the colour along the normal of a vertex
_BISECTIONS = 12  # bisection steps along an edge
_MARGIN = 0.02  # smallest distance of a vertex from the ends of its edge, as a fraction of the edge
_GRID_SIZES = range(8, 513)


@dataclass(frozen=True)
class DensityField:
    """Density and colour inside a ball around the origin.

    Attributes:
        evaluate: function from points (m, 3) in world units to density (m,) per world unit, >= 0, and colour (m, 3) in
            [0, 1].
        radius: radius of the ball, world units, > 0.
        like: tensor whose dtype and device the points take; default float32 on the CPU.
    """

    evaluate: Callable[[Tensor], tuple[Float[Tensor, "m"], Float[Tensor, "m 3"]]]
    radius: float
    like: Tensor = field(default_factory=lambda: torch.empty(0))

    def at(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "m"]:
        """Returns the density at points, 0 outside the ball."""
        density = torch.cat([chunk.float() for chunk, _ in self.chunks(points)])
        return density * (points.square().sum(-1) <= self.radius**2)

    @torch.no_grad()
    def chunks(self, points: Float[Tensor, "m 3"]) -> list[tuple[Tensor, Tensor]]:
        """Returns density and colour at points, chunk by chunk."""
        return [self.evaluate(chunk.to(self.like)) for chunk in points.split(_CHUNK)]


@dataclass(frozen=True)
class Extraction:
    """An extracted mesh and the parameters of its extraction.

    Attributes:
        parts: the mesh and statistics of the removed parts.
        level: density at the surface, per world unit.
        automatic: whether the level was chosen by `surface_level` and not given.
        step: spacing of the density samples, world units.
    """

    parts: MeshParts
    level: float
    automatic: bool
    step: float

    @property
    def mesh(self) -> Mesh:
        """The closed mesh, in world axes."""
        return self.parts.mesh

    @property
    def summary(self) -> str:
        """One-line summary of the extraction."""
        parts = self.parts
        line = f"{len(parts.mesh.faces):,} faces in {parts.pieces} part{'s' * (parts.pieces != 1)} at density "
        line += f"{self.level:.3g} ({'automatic' if self.automatic else 'given'})"
        if parts.floaters:
            floaters = f"{parts.floaters} floater{'s' * (parts.floaters != 1)}"
            line += f"; {floaters} removed, {1 - parts.share:.1%} of the volume"
        return line + (f"; {parts.hollows} cavit{'ies' if parts.hollows != 1 else 'y'} filled" if parts.hollows else "")


def extract(field: DensityField, size: int = 96, level: float | None = None, floaters: float = 0.02) -> Extraction:
    """Extracts the surface of a volume inside a ball around the origin as a closed mesh.

    The density is sampled on size^3 points of the cube around the ball and is 0 outside the ball, so the surface is
    always closed. Marching cubes (Lorensen and Cline 1987; the topologically correct variant of Lewiner et al. 2003, by
    scikit-image) determines the topology. Vertices are then placed by bisection on the volume itself: density often
    rises a hundredfold within one step, where linear interpolation gives terraces. The colour of a vertex is the volume
    rendering along its normal, from one step outside to two steps inside.

    Args:
        field: density and colour of the volume.
        size: number of samples along each side of the cube, 8 to 512.
        level: density at the surface, > 0; None chooses it by `surface_level`.
        floaters: parts below this fraction of the largest part's volume are removed, in [0, 1].

    Raises:
        ValueError: scikit-image is missing; the density is not finite, negative, or nowhere above the level; an
            argument is out of its range.
    """
    if find_spec("skimage") is None:
        raise ValueError("a mesh needs the package scikit-image, which is missing; pip install 'modeseek[mesh]'")
    radius = field.radius
    if size not in _GRID_SIZES or not 0 < radius < float("inf") or not (level is None or 0 < level < float("inf")):
        raise ValueError(
            f"mesh extraction needs size in 8 to 512, radius > 0 and level > 0, got size={size}, radius={radius}, "
            f"level={level}"
        )
    from skimage.measure import marching_cubes

    density, step = sample_density(field, size)
    greatest = density.max().item()
    if not greatest > 0:
        raise ValueError("the volume is empty, got density 0 everywhere in its ball; train it longer")
    threshold = surface_level(density, step) if level is None else level
    if threshold >= greatest:
        raise ValueError(f"level must be below the greatest density {greatest:.3g}, got {threshold:.3g}; lower it")
    padded = torch.nn.functional.pad(density, (1, 1) * 3)
    ratio = (padded / (padded + threshold)).cpu().numpy()  # 1/2 at the level
    middle = np.nextafter(np.float32(0.5), np.float32(1))
    while (ratio == middle).any():  # a sample exactly on the surface would give degenerate faces
        middle = np.nextafter(middle, np.float32(1))
    positions, corners, _, _ = marching_cubes(ratio, float(middle))
    device = field.like.device
    steps = refine_vertices(
        torch.from_numpy(positions.astype(np.float32)).to(device), padded, threshold, step, radius, field.at
    )
    # scikit-image orders corners clockwise seen from outside: flip them.
    faces = torch.from_numpy(corners[:, ::-1].astype(np.int64)).to(device)
    vertices = (steps - 1) * step - radius
    parts = remove_floaters(Mesh(vertices, faces, torch.zeros_like(vertices)), floaters)
    colours = surface_colours(field, parts.mesh.vertices, parts.mesh.normals, step)
    return Extraction(
        replace(parts, mesh=replace(parts.mesh, colours=colours)),
        threshold,
        level is None,
        step,
    )


def sample_density(field: DensityField, size: int) -> tuple[Float[Tensor, "n n n"], float]:
    """Returns the density on a grid over [-radius, radius]^3, axes x, y, z, 0 outside the ball, and the grid spacing.

    Raises:
        ValueError: a density is negative or not finite.
    """
    radius, device = field.radius, field.like.device
    ticks = torch.linspace(-radius, radius, size, dtype=torch.float32, device=device)
    points = torch.stack(torch.meshgrid(ticks, ticks, ticks, indexing="ij"), -1).reshape(-1, 3)
    inside = (points.square().sum(-1) <= radius**2).nonzero()[:, 0]
    density = torch.zeros(len(points), dtype=torch.float32, device=device)
    density[inside] = field.at(points[inside])
    if not (density.isfinite().all() and density.min() >= 0):
        raise ValueError(f"density must be finite and >= 0, got {density.min().item():.3g}; train the volume again")
    return density.reshape(size, size, size), 2 * radius / (size - 1)


def surface_colours(
    field: DensityField, points: Float[Tensor, "v 3"], normals: Float[Tensor, "v 3"], step: float
) -> Float[Tensor, "v 3"]:
    """Returns colours in [0, 1] of surface points, rendered along the normals, one step outside to two steps inside."""
    gap = 3 * step / _COLOUR_SAMPLES
    inward = (torch.arange(_COLOUR_SAMPLES, device=field.like.device) + 0.5) * gap - step
    samples = points[:, None] - inward[:, None] * normals[:, None]
    chunks = field.chunks(samples.reshape(-1, 3))
    depth = torch.cat([density.float() for density, _ in chunks]).reshape(-1, _COLOUR_SAMPLES) * gap
    colour = torch.cat([colour.float() for _, colour in chunks]).reshape(-1, _COLOUR_SAMPLES, 3)
    weight = (-(depth.cumsum(1) - depth)).exp() * -torch.expm1(-depth) + 1e-12  # no division by 0 in empty space
    return ((weight[..., None] * colour).sum(1) / weight.sum(1, keepdim=True)).clamp(0, 1)


def refine_vertices(
    steps: Float[Tensor, "v 3"],
    density: Float[Tensor, "n n n"],
    level: float,
    step: float,
    radius: float,
    density_at: Callable[[Tensor], Tensor],
) -> Float[Tensor, "v 3"]:
    """Moves vertices along their grid edges to where the density crosses the level, by bisection.

    Vertices keep a small distance from the ends of their edge, which avoids sliver faces. The few vertices that
    marching cubes places inside a cell do not move.

    Args:
        steps: vertex positions in grid steps from the first sample.
        density: density samples, padded by one layer of zeros.
        level: density at the surface.
        step: grid spacing, world units.
        radius: radius of the ball, world units; sample 1 lies at -radius.
        density_at: density function of points in world units.
    """
    off = (steps - steps.round()).abs()
    along = torch.nn.functional.one_hot(off.argmax(1), 3).to(steps)
    start = torch.where(along > 0, steps.floor(), steps.round())
    ends = [tuple((start + shift * along).long().clamp(max=len(density) - 1).unbind(1)) for shift in (0, 1)]
    first, second = (density[end] > level for end in ends)
    movable = (first != second) & ((off * (1 - along)).amax(1) < 1e-3)
    low, high = torch.zeros(len(steps)).to(steps), torch.ones(len(steps)).to(steps)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        points = (start + middle[:, None] * along - 1) * step - radius
        same = (density_at(points) > level) == first
        low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    middle = ((low + high) / 2).clamp(_MARGIN, 1 - _MARGIN)
    return torch.where(movable[:, None], start + middle[:, None] * along, steps)
