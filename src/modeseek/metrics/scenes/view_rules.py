"""Criteria for whether a predicted view agrees with a caption's view phrase.

The elevation must lie within 7.5 degrees of the word's range; the azimuth within one step of 15 degrees of a fine
phrase, or within the quarter of the circle, both borders included, of a coarse one. Indistinguishable views are equal:
a cone or a sphere has no front, so for "a cone, side view" only the elevation is scored, and for a single sphere, which
looks the same from everywhere, nothing; a cube with a white face from behind is a cube.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch

from modeseek.datasets.scenes.caption import ParsedCaption
from modeseek.datasets.scenes.view_phrases import AZIMUTH_STEP, AZIMUTHS, HEIGHTS, OVERHEAD_ELEVATION, ViewPhrase
from modeseek.generators.camera import wrap_degrees
from modeseek.metrics.scenes.view_symmetry import indistinguishable_views, shows_elevation

_TOLERANCE = AZIMUTH_STEP / 2  # tolerance of the elevation, degrees


def has_visible_view(caption: ParsedCaption) -> bool:
    """Whether the caption has a view phrase whose view can be distinguished in an image."""
    return caption.view is not None and (len(caption.objects) == 2 or shows_elevation(caption.objects[0].object_type))


def same_object_type(expected: str, predicted: str, azimuth: int, view: ViewPhrase | None) -> bool:
    """Whether a predicted object type agrees with the expected one: the same, or indistinguishable from that view.

    Args:
        expected: object type of the caption.
        predicted: predicted object type.
        azimuth: predicted index into `AZIMUTHS`.
        view: view phrase of the caption, or None for any view.
    """
    return expected == predicted or bool(
        indistinguishable_views(expected, predicted)[list(_azimuths(view)), azimuth].any()
    )


def view_matches(azimuth: int, elevation: float, view: ViewPhrase, pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether a predicted view agrees with the view phrase of the caption.

    Args:
        azimuth: predicted index into `AZIMUTHS`.
        elevation: predicted elevation, degrees.
        view: view phrase of the caption.
        pairs: expected and predicted type of each object of the caption.
    """
    low, high = _heights(view)
    if not low - _TOLERANCE <= elevation <= high + _TOLERANCE:
        return False
    rows = list(_azimuths(view))
    same = torch.stack([indistinguishable_views(*pair)[rows, azimuth] for pair in pairs])
    return bool(same.all(0).any())


def _heights(view: ViewPhrase) -> tuple[float, float]:
    """Range of elevations that the phrase describes, degrees."""
    if view.height is not None:
        low, high = HEIGHTS[view.height]
    elif view.name == "overhead view":
        low, high = OVERHEAD_ELEVATION, 90.0
    else:
        low, high = -90.0, OVERHEAD_ELEVATION
    lowest, highest = min(HEIGHTS.values())[0], max(HEIGHTS.values())[1]
    return (-90.0 if low == lowest else low, 90.0 if high == highest else high)


@cache
def _azimuths(view: ViewPhrase | None) -> tuple[int, ...]:
    """Indices into `AZIMUTHS` that the phrase describes."""
    if view is None:
        return tuple(range(len(AZIMUTHS)))
    if view.azimuth is not None:
        indices = [k for k, a in enumerate(AZIMUTHS) if abs(wrap_degrees(float(a - view.azimuth))) <= AZIMUTH_STEP]
    else:
        ranges = {"front view": (0, 45), "side view": (45, 135), "back view": (135, 180), "overhead view": (0, 180)}
        low, high = ranges[f"{view.name}"]
        indices = [k for k, a in enumerate(AZIMUTHS) if low <= abs(a) <= high]
    return tuple(indices)
