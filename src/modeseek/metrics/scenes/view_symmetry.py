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


def indistinguishable_views(one: str, other: str) -> Bool[Tensor, "24 24"]:
    """Whether one thing alone, from each of `AZIMUTHS` (rows), looks like another from each (columns).

    In one light, under one lens, from a little above. Of one thing and itself: which azimuths are the same to the eye.

    Raises:
        ValueError: there is no such thing.
    """
    return _compared(one, other)


@cache
def _compared(one: str, other: str) -> Tensor:
    return _rms_differences(_turntable_renders(one), _turntable_renders(other)) < _ALIKE


@cache
def shows_elevation(object_type: str) -> bool:
    """Whether that thing alone looks different from different heights; a ball does not.

    Raises:
        ValueError: there is no such thing.
    """
    image = _renders(object_type, [(30.0, height) for height in _HEIGHTS])
    return _rms_differences(image, image).max().item() > _FLAT


@cache
def _turntable_renders(object_type: str) -> Tensor:
    return _renders(object_type, [(float(azimuth), _ELEVATION) for azimuth in AZIMUTHS])


def _rms_differences(a: Tensor, b: Tensor) -> Tensor:
    """(n, m), how far pictures are apart: root mean square."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") / a.shape[1] ** 0.5


def _renders(object_type: str, views: list[tuple[float, float]]) -> Tensor:
    """(n, numbers), that thing alone, in red, from azimuths and elevations in degrees."""
    if object_type not in OBJECT_TYPES:
        raise ValueError(f"there is no thing {object_type!r} in these scenes: known are {', '.join(OBJECT_TYPES)}")
    azimuth, elevation = torch.tensor(views).unbind(-1)
    n, world = len(views), Scenes(_SIDE)
    rng = torch.Generator().manual_seed(0)
    layouts = world.layouts_for([f"a red {object_type}"] * n, rng, azimuth=azimuth, elevation=elevation)
    still = replace(
        layouts,
        scale=torch.ones_like(layouts.scale),
        position=torch.zeros_like(layouts.position),
        distance=torch.full((n,), _FAR),
        fov=torch.full((n,), _LENS),
        background=torch.full_like(layouts.background, 0.85),
        light=torch.tensor(_LAMP).expand(n, 3).clone(),
    )
    return world.render(still).image.flatten(1)
