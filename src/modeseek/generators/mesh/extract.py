"""From a volume to a closed mesh: marching cubes at the level where the volume is seen to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.mesh.surface_level import surface_level
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.parts import MeshParts, remove_floaters

RadianceField = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Points (m, 3) in world units -> density (m,), >= 0, in 1 / world units, and colour (m, 3) in [0, 1]."""
DensityFunction = Callable[[Tensor], Tensor]

_CHUNK = 2**17  # points asked at once
_LOOKS = 8  # samples of the colour along a look at the surface
_HALVINGS = 12  # of an edge
_MARGIN = 0.02  # share of an edge that a vertex keeps from its ends
_GRIDS = range(8, 513)


@dataclass(frozen=True)
class Extraction:
    """A mesh and how it came about.

    Attributes:
        kept: the mesh and what was left out of it.
        level: density at the surface.
        automatic: whether the level was found, not named.
        step: between samples of the density, world units.
    """

    parts: MeshParts
    level: float
    automatic: bool
    step: float

    @property
    def mesh(self) -> Mesh:
        """Closed, in world axes."""
        return self.parts.mesh

    @property
    def summary(self) -> str:
        """One line for people."""
        kept = self.parts
        line = f"{len(kept.mesh.faces):,} faces in {kept.pieces} piece{'s' * (kept.pieces != 1)} at density "
        line += f"{self.level:.3g} ({'found' if self.automatic else 'named'})"
        if kept.floaters:
            line += f"; {kept.floaters} small left out, {1 - kept.share:.1%} of the volume"
        return line + (f"; {kept.hollows} hollow{'s' * (kept.hollows != 1)} filled" if kept.hollows else "")


def extract(
    field: RadianceField,
    radius: float,
    size: int = 96,
    level: float | None = None,
    floaters: float = 0.02,
    like: Tensor | None = None,
) -> Extraction:
    """The surface of a volume inside the ball of that radius around the origin.

    The density is sampled on size^3 points of the cube around the ball, with nothing outside of the ball, so that the
    surface is always closed. Marching cubes (Lorensen and Cline 1987; the topologically sound variant of Lewiner et
    al. 2003, by scikit-image) tells between which samples the surface passes and how it hangs together. Where it
    passes is then asked of the field itself, by bisection: density often rises a hundredfold within one step, and
    linear interpolation would build terraces. A vertex gets the colour that a camera right above it would see: colours
    along the normal, from one step outside to two steps inside, weighted as volume rendering does.

    Args:
        field: the volume.
        radius: of the ball, world units.
        size: samples along each side of the cube, 8 to 512.
        level: density at the surface; None finds it (`surface_level`).
        floaters: pieces with less than this share of the largest piece's volume are left out.
        like: dtype and device of the points that the field is asked.

    Raises:
        ValueError: scikit-image is missing; the density is not finite, negative, or nowhere above the level; a number
            is out of its range.
    """
    if find_spec("skimage") is None:
        raise ValueError("a mesh needs the package scikit-image: got none; pip install 'modeseek[mesh]'")
    if size not in _GRIDS or not 0 < radius < float("inf") or not (level is None or 0 < level < float("inf")):
        raise ValueError(
            f"a mesh needs 8 to 512 samples a side, a radius and a level above 0: got size={size}, radius={radius}, "
            f"level={level}; mend them"
        )
    from skimage.measure import marching_cubes

    like = torch.empty(0) if like is None else like
    density, step = sample_density(field, radius, size, like)
    top = density.max().item()
    if not top > 0:
        raise ValueError("the volume is empty: got density 0 everywhere in its ball; train it longer")
    chosen = surface_level(density, step) if level is None else level
    if chosen >= top:
        raise ValueError(f"the level lies below the greatest density: got {chosen:.3g} and {top:.3g}; lower it")
    padded = torch.nn.functional.pad(density, (1, 1) * 3)
    share = (padded / (padded + chosen)).cpu().numpy()  # 1/2 at the level
    middle = np.nextafter(np.float32(0.5), np.float32(1))
    while (share == middle).any():  # a sample on the surface itself would make faces without area
        middle = np.nextafter(middle, np.float32(1))
    places, corners, _, _ = marching_cubes(share, float(middle))
    ask = partial(_density_inside, field, radius, like)
    steps = refine_vertices(torch.from_numpy(places.astype(np.float32)).to(like.device), padded, chosen, step, radius, ask)
    # scikit-image turns corners so that they run clockwise seen from outside: flip them.
    faces = torch.from_numpy(corners[:, ::-1].astype(np.int64)).to(like.device)
    vertices = (steps - 1) * step - radius
    kept = remove_floaters(Mesh(vertices, faces, torch.zeros_like(vertices)), floaters)
    return Extraction(
        replace(kept, mesh=replace(kept.mesh, colours=bake_vertex_colours(field, kept.mesh, step, like))),
        chosen,
        level is None,
        step,
    )


def sample_density(field: RadianceField, radius: float, size: int, like: Tensor) -> tuple[Float[Tensor, "n n n"], float]:
    """The density on a grid over [-radius, radius]^3, axes x, y, z, 0 outside of the ball; and the grid's step.

    Raises:
        ValueError: a density is negative or not finite.
    """
    ticks = torch.linspace(-radius, radius, size, dtype=torch.float32, device=like.device)
    places = torch.stack(torch.meshgrid(ticks, ticks, ticks, indexing="ij"), -1).reshape(-1, 3)
    inside = (places.square().sum(-1) <= radius**2).nonzero()[:, 0]
    density = torch.zeros(len(places), dtype=torch.float32, device=like.device)
    density[inside] = _density_inside(field, radius, like, places[inside])
    if not (density.isfinite().all() and density.min() >= 0):
        raise ValueError(f"a density is finite and not negative: got {density.min().item():.3g}; train it anew")
    return density.reshape(size, size, size), 2 * radius / (size - 1)


def bake_vertex_colours(field: RadianceField, mesh: Mesh, step: float, like: Tensor) -> Float[Tensor, "v 3"]:
    """What a camera right above each vertex sees between one step outside and two steps inside, in [0, 1]."""
    gap = 3 * step / _LOOKS
    inward = (torch.arange(_LOOKS, device=like.device) + 0.5) * gap - step
    places = mesh.vertices[:, None] - inward[:, None] * mesh.normals[:, None]
    asked = list(_evaluate_in_chunks(field, places.reshape(-1, 3), like))
    depth = torch.cat([density.float() for density, _ in asked]).reshape(-1, _LOOKS) * gap
    colour = torch.cat([colour.float() for _, colour in asked]).reshape(-1, _LOOKS, 3)
    weight = (-(depth.cumsum(1) - depth)).exp() * -torch.expm1(-depth) + 1e-12  # a vertex sees something in any case
    return ((weight[..., None] * colour).sum(1) / weight.sum(1, keepdim=True)).clamp(0, 1)


def refine_vertices(
    steps: Float[Tensor, "v 3"], density: Float[Tensor, "n n n"], level: float, step: float, radius: float, density_at: DensityFunction
) -> Float[Tensor, "v 3"]:
    """Vertices on the grid's edges moved along them to where the density passes the level.

    They keep a small distance from the edge's ends, so that no face becomes a sliver. The few vertices that marching
    cubes puts inside of a cell stay.

    Args:
        steps: the vertices, counted in steps from the first sample.
        density: the samples, with one layer of zeros around.
        level: density at the surface.
        step: between samples, world units.
        radius: of the ball; sample 1 lies at -radius.
        ask: the density at points.
    """
    off = (steps - steps.round()).abs()
    along = torch.nn.functional.one_hot(off.argmax(1), 3).to(steps)
    start = torch.where(along > 0, steps.floor(), steps.round())
    ends = [tuple((start + shift * along).long().clamp(max=len(density) - 1).unbind(1)) for shift in (0, 1)]
    first, second = (density[end] > level for end in ends)
    good = (first != second) & ((off * (1 - along)).amax(1) < 1e-3)
    low, high = torch.zeros(len(steps)).to(steps), torch.ones(len(steps)).to(steps)
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        places = (start + share[:, None] * along - 1) * step - radius
        same = (density_at(places) > level) == first
        low, high = torch.where(same, share, low), torch.where(same, high, share)
    share = ((low + high) / 2).clamp(_MARGIN, 1 - _MARGIN)
    return torch.where(good[:, None], start + share[:, None] * along, steps)


def _density_inside(field: RadianceField, radius: float, like: Tensor, places: Float[Tensor, "m 3"]) -> Float[Tensor, "m"]:
    """The density, 0 outside of the ball."""
    density = torch.cat([part.float() for part, _ in _evaluate_in_chunks(field, places, like)])
    return density * (places.square().sum(-1) <= radius**2)


@torch.no_grad()
def _evaluate_in_chunks(field: RadianceField, places: Tensor, like: Tensor) -> list[tuple[Tensor, Tensor]]:
    return [field(part.to(like)) for part in places.split(_CHUNK)]
