"""Which views of things look alike: measured on the renderer itself, so that no phrase is judged that no eye could.

A ball looks the same from all around, a cube after every quarter turn, and from behind a cube with a white face is a
cube.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
from jaxtyping import Bool
from torch import Tensor

from modeseek.datasets.scenes import Scenes
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.view_phrases import AZIMUTHS

_ALIKE = 0.02  # root mean square difference of pixels; fifteen degrees of a thing with a front are 0.03 to 0.13
_FLAT = 0.03  # likewise, between all heights: what is less drowns in the light, which differs from scene to scene
_SIDE, _ELEVATION = 32, 15.0
_HEIGHTS = (-10.0, 0.0, 20.0, 40.0, 65.0)
_LENS, _FAR = 30.0, 5.5
_LAMP = (0.3, 0.6, 0.74)


def same_views(one: str, other: str) -> Bool[Tensor, "24 24"]:
    """Whether one thing alone, from each of `AZIMUTHS` (rows), looks like another from each (columns).

    In one light, under one lens, from a little above. Of one thing and itself: which azimuths are the same to the eye.

    Raises:
        ValueError: there is no such thing.
    """
    return _compared(one, other)


@cache
def _compared(one: str, other: str) -> Tensor:
    return _apart(_around(one), _around(other)) < _ALIKE


@cache
def shows_height(thing: str) -> bool:
    """Whether that thing alone looks different from different heights; a ball does not.

    Raises:
        ValueError: there is no such thing.
    """
    image = _pictures(thing, [(30.0, height) for height in _HEIGHTS])
    return _apart(image, image).max().item() > _FLAT


@cache
def _around(thing: str) -> Tensor:
    return _pictures(thing, [(float(azimuth), _ELEVATION) for azimuth in AZIMUTHS])


def _apart(a: Tensor, b: Tensor) -> Tensor:
    """(n, m), how far pictures are apart: root mean square."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") / a.shape[1] ** 0.5


def _pictures(thing: str, views: list[tuple[float, float]]) -> Tensor:
    """(n, numbers), that thing alone, in red, from azimuths and elevations in degrees."""
    if thing not in OBJECT_TYPES:
        raise ValueError(f"there is no thing {thing!r} in these scenes: known are {', '.join(OBJECT_TYPES)}")
    azimuth, elevation = torch.tensor(views).unbind(-1)
    n, world = len(views), Scenes(_SIDE)
    rng = torch.Generator().manual_seed(0)
    layouts = world.stage([f"a red {thing}"] * n, rng, azimuth=azimuth, elevation=elevation)
    still = replace(
        layouts,
        scale=torch.ones_like(layouts.scale),
        place=torch.zeros_like(layouts.place),
        distance=torch.full((n,), _FAR),
        fov=torch.full((n,), _LENS),
        background=torch.full_like(layouts.background, 0.85),
        light=torch.tensor(_LAMP).expand(n, 3).clone(),
    )
    return world.render(still).image.flatten(1)
