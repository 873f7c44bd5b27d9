"""When a view that was seen is the view that a caption says.

The height is right within 7.5 degrees of the word's range; the azimuth within one step of fifteen degrees of a fine
phrase, within its quarter of the circle, both borders included, of a coarse one. What no eye could tell apart is the
same: a cone or a ball has no front, so of "a cone, side view" only the height is judged, and of a lone ball, which
looks the same from everywhere, nothing is; from behind a cube with a white face is a cube.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch

from modeseek.datasets.scenes.caption import ParsedCaption
from modeseek.datasets.scenes.view_phrases import AZIMUTHS, HEIGHTS, OVERHEAD_ELEVATION, AZIMUTH_STEP, ViewPhrase
from modeseek.metrics.scenes.view_symmetry import indistinguishable_views, shows_elevation

_SLACK = AZIMUTH_STEP / 2  # degrees of elevation


def has_visible_view(caption: ParsedCaption) -> bool:
    """Whether the caption says a view of which the picture tells anything."""
    return caption.view is not None and (len(caption.objects) == 2 or shows_elevation(caption.objects[0].object_type))


def same_object_type(expected: str, predicted: str, azimuth: int, view: ViewPhrase | None) -> bool:
    """Whether what was seen could be what was asked for: the same thing, or one that looks the same from there.

    Args:
        asked: the caption's thing.
        seen: name of what was seen.
        azimuth: row of `AZIMUTHS`, from where it was seen.
        view: what the caption says; None: any.
    """
    return expected == predicted or bool(indistinguishable_views(expected, predicted)[list(_azimuths(view)), azimuth].any())


def view_matches(azimuth: int, elevation: float, view: ViewPhrase, pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether the view that the caption says counts as the one seen.

    Args:
        azimuth: row of `AZIMUTHS`, the one seen.
        elevation: seen, degrees.
        view: what the caption says.
        pairs: of each of the caption's objects the thing asked for and the thing seen.
    """
    low, high = _heights(view)
    if not low - _SLACK <= elevation <= high + _SLACK:
        return False
    alike = torch.stack([indistinguishable_views(asked, seen)[list(_azimuths(view)), azimuth] for asked, seen in pairs])
    return bool(alike.all(0).any())


def _heights(view: ViewPhrase) -> tuple[float, float]:
    """Elevations of which the phrase is true, degrees."""
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
    """Rows of `AZIMUTHS` of which the phrase counts as true."""
    if view is None:
        return tuple(range(len(AZIMUTHS)))
    if view.azimuth is not None:
        kept = [k for k, a in enumerate(AZIMUTHS) if abs((a - view.azimuth + 180) % 360 - 180) <= AZIMUTH_STEP]
    else:
        ranges = {"front view": (0, 45), "side view": (45, 135), "back view": (135, 180), "overhead view": (0, 180)}
        low, high = ranges[f"{view.name}"]
        kept = [k for k, a in enumerate(AZIMUTHS) if low <= abs(a) <= high]
    return tuple(kept)
