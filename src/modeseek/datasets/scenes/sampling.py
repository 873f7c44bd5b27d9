"""Random sampling of scene contents, views and layouts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.datasets.scenes.caption import CaptionObject, ParsedCaption
from modeseek.datasets.scenes.held_out import combinations
from modeseek.datasets.scenes.layouts import Layouts
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.placement import ON, place_objects
from modeseek.datasets.scenes.view_phrases import (
    AZIMUTH_STEP,
    HEIGHTS,
    OVERHEAD_ELEVATION,
    ViewPhrase,
    coarse_phrase,
    fine_phrase,
)
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS, SIZES

_SINGLE_SHARE = 0.3  # share of scenes with a single object
_SIZED_SHARE = 0.25  # share of objects whose size is in the caption
_DETAIL_SHARES = (1.0, 2.0, 3.0)  # relative frequency of captions without view, with a coarse, with a fine view phrase
_HEIGHT_SHARES = (0.1, 0.22, 0.38, 0.18, 0.12)  # probability of each of `HEIGHTS`


@dataclass(frozen=True)
class SceneContents:
    """Contents of n scenes, without cameras.

    Attributes:
        object_type: index into `OBJECT_TYPES`, -1 for an empty slot.
        colour: index into `COLOURS`.
        size: 1 + index into `SIZES`, or 0 if the caption gives no size.
        relation: index into `RELATIONS`, -1 for a single object.
    """

    object_type: Int[Tensor, "n 2"]
    colour: Int[Tensor, "n 2"]
    size: Int[Tensor, "n 2"]
    relation: Int[Tensor, "n"]

    @classmethod
    def from_captions(cls, captions: Sequence[ParsedCaption]) -> SceneContents:
        """Contents of parsed captions."""
        object_types, colours, sizes = list(OBJECT_TYPES), list(COLOURS), list(SIZES)

        def pad(rows: list[list[int]], empty: int) -> Tensor:
            return torch.tensor([(row + [empty])[:2] for row in rows])

        return cls(
            pad([[object_types.index(o.object_type) for o in caption.objects] for caption in captions], -1),
            pad([[colours.index(o.colour) for o in caption.objects] for caption in captions], 0),
            pad([[1 + sizes.index(o.size) if o.size else 0 for o in caption.objects] for caption in captions], 0),
            torch.tensor([RELATIONS.index(caption.relation) if caption.relation else -1 for caption in captions]),
        )

    def to_captions(self, views: Sequence[ViewPhrase | None]) -> list[ParsedCaption]:
        """Parsed captions of the contents, each with its view phrase."""
        object_types, colours, sizes = list(OBJECT_TYPES), list(COLOURS), (None, *SIZES)
        captions = []
        rows = zip(*(t.tolist() for t in (self.object_type, self.colour, self.size, self.relation)), views, strict=True)
        for object_type, colour, size, relation, view in rows:
            objects = tuple(
                CaptionObject(object_types[t], colours[c], sizes[s])
                for t, c, s in zip(object_type, colour, size, strict=True)
                if t >= 0
            )
            captions.append(ParsedCaption(objects, RELATIONS[relation] if relation >= 0 else None, view))
        return captions


def _uniform(n: int, low: float, high: float, rng: torch.Generator) -> Float[Tensor, "n"]:
    return low + (high - low) * torch.rand(n, generator=rng)


def sample_contents(n: int, rng: torch.Generator, *, held_out: bool | None) -> SceneContents:
    """Samples n scene contents, uniform over the allowed combinations of a single object or of each relation.

    Args:
        n: number of scenes.
        rng: random generator on the CPU.
        held_out: False for combinations of the training set, True for held-out ones, None for all.
    """
    allowed = combinations(held_out)
    alone = torch.rand(n, generator=rng) < _SINGLE_SHARE
    relation = torch.randint(len(RELATIONS), (n,), generator=rng)
    share = torch.rand(n, generator=rng, dtype=torch.float64)
    sized = torch.rand(n, 2, generator=rng) < _SIZED_SHARE
    size = torch.randint(1, len(SIZES) + 1, (n, 2), generator=rng)

    objects = torch.zeros(n, 2, dtype=torch.long)
    objects[:, 0] = allowed.alone[(share * len(allowed.alone)).long()]
    for i, pairs in enumerate(allowed.pairs):
        rows = ((relation == i) & ~alone).nonzero()[:, 0]
        objects[rows] = pairs[(share[rows] * len(pairs)).long()]
    relation = torch.where(alone, -1, relation)
    object_type, colour = objects // len(COLOURS), objects % len(COLOURS)
    empty = torch.stack([torch.zeros_like(alone), alone], 1)
    return SceneContents(
        object_type.masked_fill(empty, -1), colour.masked_fill(empty, 0), torch.where(sized & ~empty, size, 0), relation
    )


def sample_views(
    relation: Int[Tensor, "n"], rng: torch.Generator
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"], Int[Tensor, "n"]]:
    """Samples azimuths and elevations, degrees, and the detail of the view phrase (0 none, 1 coarse, 2 fine).

    Azimuths are uniform; elevations favour "slightly above"; the details occur one to two to three. Stacked objects are
    never seen from high above, which would hide the lower one, and two objects beside or behind one another never from
    below.
    """
    n = len(relation)
    azimuth = _uniform(n, -180.0 - AZIMUTH_STEP / 2, 180.0 - AZIMUTH_STEP / 2, rng)
    bounds = torch.tensor(list(HEIGHTS.values()))
    height = torch.multinomial(torch.tensor(_HEIGHT_SHARES), n, replacement=True, generator=rng)
    high = list(HEIGHTS).index("high above")
    height = torch.where((relation == ON) & (height == high), 2, height)
    height = torch.where((relation > ON) & (height < 2), 2, height)
    low, upper = bounds[height].unbind(-1)
    # Slightly inside the bounds, so that rounding never moves an angle into the next height.
    elevation = low + (upper - low) * (0.001 + 0.998 * torch.rand(n, generator=rng))
    detail = torch.multinomial(torch.tensor(_DETAIL_SHARES), n, replacement=True, generator=rng)
    return azimuth, elevation, detail


def sample_layouts(
    contents: SceneContents,
    azimuth: Float[Tensor, "n"],
    elevation: Float[Tensor, "n"],
    view_detail: Int[Tensor, "n"],
    rng: torch.Generator,
    variety: float = 1.0,
) -> Layouts:
    """Samples layouts of given contents and views: positions, sizes, field of view, light and background.

    Args:
        contents: objects and relations.
        azimuth: camera azimuth, degrees.
        elevation: camera elevation, degrees.
        view_detail: detail of the view phrase in the captions: 0 none, 1 coarse, 2 fine.
        rng: random generator on the CPU.
        variety: spread of everything that captions leave open, as a share of its full range, in [0, 1]. Up to one half
            the first of two objects beside or behind one another always stands to the camera's right.
    """
    n = len(azimuth)

    def sampled(low: float, high: float) -> Float[Tensor, "n"]:
        middle, spread = (low + high) / 2, variety * (high - low) / 2
        return _uniform(n, middle - spread, middle + spread, rng)

    stretch = torch.tensor([1.0, *SIZES.values()])[contents.size]
    scale = stretch * (1 + 0.08 * variety * (2 * torch.rand(n, 2, generator=rng) - 1))
    yaw = torch.zeros(n, 2)
    fov = sampled(24.0, 44.0)
    alone = contents.relation < 0
    fill = torch.where(alone, sampled(0.58, 0.7) * stretch[:, 0].clamp(max=1.25), sampled(0.74, 0.86))
    lateral = _uniform(n, 1.0 - 2.0 * variety, 1.0, rng)
    placement = place_objects(
        contents.object_type, scale, yaw, contents.relation, azimuth, elevation, fov, fill, lateral
    )
    shift = 0.05 * variety * (2 * torch.rand(n, 1, 3, generator=rng) - 1) * placement.distance[:, None, None]
    shift = shift * (fov / 2).deg2rad().tan()[:, None, None]
    tint = torch.rand(n, 2, 3, generator=rng)
    mean = tint.mean(-1, keepdim=True)
    lightness = 0.84 + 0.12 * variety * (2 * torch.rand(n, 2, 1, generator=rng) - 1)
    background = (lightness + 0.16 * variety * (tint - mean)).clamp(0, 1)
    light = torch.stack([sampled(-0.8, 0.8), sampled(0.3, 1.0), sampled(0.7, 1.0)], -1)
    views = [
        None if detail == 0 else (coarse_phrase if detail == 1 else fine_phrase)(a, e)
        for detail, a, e in zip(view_detail.tolist(), azimuth.tolist(), elevation.tolist(), strict=True)
    ]
    return Layouts(
        [parsed.caption for parsed in contents.to_captions(views)],
        contents.object_type,
        contents.colour,
        contents.size,
        scale,
        placement.position + shift,
        yaw,
        contents.relation,
        azimuth,
        elevation,
        placement.distance,
        fov,
        background,
        _uniform(n, 0.0, 360.0, rng),
        light / light.norm(dim=-1, keepdim=True),
        view_detail,
    )


def sample_view_angles(view: ViewPhrase, rng: torch.Generator) -> tuple[float, float]:
    """Samples an azimuth and an elevation, degrees, that a view phrase describes."""

    def between(low: float, high: float) -> float:
        return low + (high - low) * (0.001 + 0.998 * torch.rand((), generator=rng).item())

    if view.azimuth is not None and view.height is not None:
        return view.azimuth + between(-AZIMUTH_STEP / 2, AZIMUTH_STEP / 2), between(*HEIGHTS[view.height])
    if view.name == "overhead view":
        return between(-180.0, 180.0), between(OVERHEAD_ELEVATION, max(high for _, high in HEIGHTS.values()))
    centre, half = {"front view": (0.0, 45.0), "back view": (180.0, 45.0)}.get(f"{view.name}", (90.0, 45.0))
    side = math.copysign(1.0, torch.rand((), generator=rng).item() - 0.5)
    return centre * side + between(-half, half), between(0.0, 30.0)
