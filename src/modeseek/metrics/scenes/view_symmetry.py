"""View symmetries of the object types, measured on renders, so that indistinguishable views are not scored.

A sphere looks the same from all azimuths, a cube after every quarter turn, and a cube with a white face looks like a
cube from behind.
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

_SAME_VIEW = (
    0.02  # RMS pixel difference below which views are equal; 15 degrees of an object with a front: 0.03 to 0.13
)
_SAME_ELEVATION = 0.03  # likewise between elevations; lighting, which varies between scenes, hides smaller ones
_SIZE, _ELEVATION = 32, 15.0  # pixels, degrees
_ELEVATIONS = (-10.0, 0.0, 20.0, 40.0, 65.0)
_FOV, _DISTANCE = 30.0, 5.5  # degrees, world units
_LIGHT = (0.3, 0.6, 0.74)


def indistinguishable_views(object_type: str, other: str) -> Bool[Tensor, "24 24"]:
    """Whether an object type from each of `AZIMUTHS` (rows) looks like another from each (columns).

    Rendered alone, in equal light, with equal field of view, from slightly above. For one type with itself: which
    azimuths are indistinguishable.

    Raises:
        ValueError: unknown object type.
    """
    return _view_matches(object_type, other)


@cache
def _view_matches(object_type: str, other: str) -> Tensor:
    return _rms_differences(_turntable_renders(object_type), _turntable_renders(other)) < _SAME_VIEW


@cache
def shows_elevation(object_type: str) -> bool:
    """Whether an object type looks different from different elevations; a sphere does not.

    Raises:
        ValueError: unknown object type.
    """
    image = _renders(object_type, [(30.0, elevation) for elevation in _ELEVATIONS])
    return _rms_differences(image, image).max().item() > _SAME_ELEVATION


@cache
def _turntable_renders(object_type: str) -> Tensor:
    return _renders(object_type, [(float(azimuth), _ELEVATION) for azimuth in AZIMUTHS])


def _rms_differences(a: Tensor, b: Tensor) -> Tensor:
    """RMS difference of each pair of images, (n, m)."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") / a.shape[1] ** 0.5


def _renders(object_type: str, views: list[tuple[float, float]]) -> Tensor:
    """Flattened renders, (n, d), of a single red object from (azimuth, elevation) pairs, degrees."""
    if object_type not in OBJECT_TYPES:
        raise ValueError(f"object type must be one of {', '.join(OBJECT_TYPES)}, got {object_type!r}")
    azimuth, elevation = torch.tensor(views).unbind(-1)
    n, scenes = len(views), Scenes(_SIZE)
    rng = torch.Generator().manual_seed(0)
    layouts = scenes.layouts_for([f"a red {object_type}"] * n, rng, azimuth=azimuth, elevation=elevation)
    layouts = replace(
        layouts,
        scale=torch.ones_like(layouts.scale),
        position=torch.zeros_like(layouts.position),
        distance=torch.full((n,), _DISTANCE),
        fov=torch.full((n,), _FOV),
        background=torch.full_like(layouts.background, 0.85),
        light=torch.tensor(_LIGHT).expand(n, 3).clone(),
    )
    return scenes.render(layouts).image.flatten(1)
