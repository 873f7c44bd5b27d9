"""Drawing scenes: which things, from where, in what light, and what the caption says of it."""

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
from modeseek.datasets.scenes.view_phrases import HEIGHTS, OVERHEAD_ELEVATION, AZIMUTH_STEP, ViewPhrase, coarse_phrase, fine_phrase
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS, SIZES

_ALONE = 0.3  # the share of scenes with one object
_SIZED = 0.25  # the share of objects whose size is said
_SAID_SHARES = (1.0, 2.0, 3.0)  # of captions that say the view not, coarsely, finely
_HEIGHT_SHARES = (0.1, 0.22, 0.38, 0.18, 0.12)  # of `HEIGHTS`, in order


@dataclass(frozen=True)
class SceneContents:
    """What is in the scenes, without a camera: rows of `THINGS`, `COLOURS`, 1 + `SIZES`, `RELATIONS`; -1 for none."""

    object_type: Int[Tensor, "n 2"]
    colour: Int[Tensor, "n 2"]
    size: Int[Tensor, "n 2"]
    relation: Int[Tensor, "n"]

    @classmethod
    def from_captions(cls, captions: Sequence[ParsedCaption]) -> SceneContents:
        """What those captions ask for."""
        things, colours, sizes = list(OBJECT_TYPES), list(COLOURS), list(SIZES)

        def pad(rows: list[list[int]], empty: int) -> Tensor:
            return torch.tensor([(row + [empty])[:2] for row in rows])

        return cls(
            pad([[things.index(o.object_type) for o in s.objects] for s in captions], -1),
            pad([[colours.index(o.colour) for o in s.objects] for s in captions], 0),
            pad([[1 + sizes.index(o.size) if o.size else 0 for o in s.objects] for s in captions], 0),
            torch.tensor([RELATIONS.index(s.relation) if s.relation else -1 for s in captions]),
        )

    def to_captions(self, views: Sequence[ViewPhrase | None]) -> list[ParsedCaption]:
        """What captions say of them from those views."""
        things, colours, sizes = list(OBJECT_TYPES), list(COLOURS), (None, *SIZES)
        out = []
        rows = zip(*(t.tolist() for t in (self.object_type, self.colour, self.size, self.relation)), views, strict=True)
        for thing, colour, size, relation, view in rows:
            objects = tuple(
                CaptionObject(things[t], colours[c], sizes[s])
                for t, c, s in zip(thing, colour, size, strict=True)
                if t >= 0
            )
            out.append(ParsedCaption(objects, RELATIONS[relation] if relation >= 0 else None, view))
        return out


def _uniform(n: int, low: float, high: float, rng: torch.Generator) -> Float[Tensor, "n"]:
    return low + (high - low) * torch.rand(n, generator=rng)


def sample_contents(n: int, rng: torch.Generator, *, held_out: bool | None) -> SceneContents:
    """n combinations, each equally likely among those of its kind: alone, or in one of the relations.

    Args:
        n: how many.
        rng: on the CPU.
        held: False: what training may see; True: only what it may not; None: any.
    """
    allowed = combinations(held_out)
    alone = torch.rand(n, generator=rng) < _ALONE
    relation = torch.randint(len(RELATIONS), (n,), generator=rng)
    dice = torch.rand(n, generator=rng, dtype=torch.float64)
    sized = torch.rand(n, 2, generator=rng) < _SIZED
    size = torch.randint(1, len(SIZES) + 1, (n, 2), generator=rng)

    objects = torch.zeros(n, 2, dtype=torch.long)
    objects[:, 0] = allowed.alone[(dice * len(allowed.alone)).long()]
    for i, pairs in enumerate(allowed.pairs):
        rows = ((relation == i) & ~alone).nonzero()[:, 0]
        objects[rows] = pairs[(dice[rows] * len(pairs)).long()]
    relation = torch.where(alone, -1, relation)
    thing, colour = objects // len(COLOURS), objects % len(COLOURS)
    empty = torch.stack([torch.zeros_like(alone), alone], 1)
    return SceneContents(
        thing.masked_fill(empty, -1), colour.masked_fill(empty, 0), torch.where(sized & ~empty, size, 0), relation
    )


def sample_views(
    relation: Int[Tensor, "n"], rng: torch.Generator
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"], Int[Tensor, "n"]]:
    """Azimuths, elevations, and how the view is to be said (0 not, 1 coarsely, 2 finely), one to two to three.

    Azimuths are uniform; elevations favour "slightly above". What stands on something is never seen from high above,
    which would hide what it stands on, and two objects beside or behind one another never from below.
    """
    n = len(relation)
    azimuth = _uniform(n, -180.0 - AZIMUTH_STEP / 2, 180.0 - AZIMUTH_STEP / 2, rng)
    bounds = torch.tensor(list(HEIGHTS.values()))
    word = torch.multinomial(torch.tensor(_HEIGHT_SHARES), n, replacement=True, generator=rng)
    high = list(HEIGHTS).index("high above")
    word = torch.where((relation == ON) & (word == high), 2, word)
    word = torch.where((relation > ON) & (word < 2), 2, word)
    low, top = bounds[word].unbind(-1)
    # A hair from the ends, so that rounding never moves an angle to the next word.
    elevation = low + (top - low) * (0.001 + 0.998 * torch.rand(n, generator=rng))
    said = torch.multinomial(torch.tensor(_SAID_SHARES), n, replacement=True, generator=rng)
    return azimuth, elevation, said


def sample_layouts(
    contents: SceneContents,
    azimuth: Float[Tensor, "n"],
    elevation: Float[Tensor, "n"],
    view_detail: Int[Tensor, "n"],
    rng: torch.Generator,
    variety: float = 1.0,
) -> Layouts:
    """Scenes of those things from those angles: places, sizes, lens, light and background are drawn.

    Args:
        chosen: the things.
        azimuth: of the camera, degrees.
        elevation: of the camera, degrees.
        view: what captions say of it, as `Layouts` has it.
        rng: on the CPU.
        variety: how far everything that no caption tells strays from its middle, in [0, 1]. Up to one half the first of
            two objects beside or behind one another always stands to the camera's right.
    """
    n = len(azimuth)

    def drawn(low: float, high: float) -> Float[Tensor, "n"]:
        middle, reach = (low + high) / 2, variety * (high - low) / 2
        return _uniform(n, middle - reach, middle + reach, rng)

    stretch = torch.tensor([1.0, *SIZES.values()])[contents.size]
    scale = stretch * (1 + 0.08 * variety * (2 * torch.rand(n, 2, generator=rng) - 1))
    turn = torch.zeros(n, 2)
    fov = drawn(24.0, 44.0)
    alone = contents.relation < 0
    fill = torch.where(alone, drawn(0.58, 0.7) * stretch[:, 0].clamp(max=1.25), drawn(0.74, 0.86))
    swing = _uniform(n, 1.0 - 2.0 * variety, 1.0, rng)
    placed = place_objects(contents.object_type, scale, turn, contents.relation, azimuth, elevation, fov, fill, swing)
    shift = 0.05 * variety * (2 * torch.rand(n, 1, 3, generator=rng) - 1) * placed.distance[:, None, None]
    shift = shift * (fov / 2).deg2rad().tan()[:, None, None]
    pale = torch.rand(n, 2, 3, generator=rng)
    mean = pale.mean(-1, keepdim=True)
    lightness = 0.84 + 0.12 * variety * (2 * torch.rand(n, 2, 1, generator=rng) - 1)
    background = (lightness + 0.16 * variety * (pale - mean)).clamp(0, 1)
    lamp = torch.stack([drawn(-0.8, 0.8), drawn(0.3, 1.0), drawn(0.7, 1.0)], -1)
    views = [
        None if kind == 0 else (coarse_phrase if kind == 1 else fine_phrase)(a, e)
        for kind, a, e in zip(view_detail.tolist(), azimuth.tolist(), elevation.tolist(), strict=True)
    ]
    return Layouts(
        [said.caption for said in contents.to_captions(views)],
        contents.object_type,
        contents.colour,
        contents.size,
        scale,
        placed.position + shift,
        turn,
        contents.relation,
        azimuth,
        elevation,
        placed.distance,
        fov,
        background,
        _uniform(n, 0.0, 360.0, rng),
        lamp / lamp.norm(dim=-1, keepdim=True),
        view_detail,
    )


def sample_view_angles(view: ViewPhrase, rng: torch.Generator) -> tuple[float, float]:
    """An azimuth and elevation, in degrees, of which that phrase is true."""

    def between(low: float, high: float) -> float:
        return low + (high - low) * (0.001 + 0.998 * torch.rand((), generator=rng).item())

    if view.azimuth is not None and view.height is not None:
        return view.azimuth + between(-AZIMUTH_STEP / 2, AZIMUTH_STEP / 2), between(*HEIGHTS[view.height])
    if view.name == "overhead view":
        return between(-180.0, 180.0), between(OVERHEAD_ELEVATION, max(high for _, high in HEIGHTS.values()))
    centre, half = {"front view": (0.0, 45.0), "back view": (180.0, 45.0)}.get(f"{view.name}", (90.0, 45.0))
    side = math.copysign(1.0, torch.rand((), generator=rng).item() - 0.5)
    return centre * side + between(-half, half), between(0.0, 30.0)
