"""The view phrases of the scenes' captions, as prompts for every camera."""

from __future__ import annotations

from modeseek.camera_conditions.fine_prompts import FinePrompts
from modeseek.datasets.scenes.view_phrases import HEIGHTS, AZIMUTH_STEP, ViewPhrase


def fine_prompts(interpolate: bool = True) -> FinePrompts:
    """24 azimuths by 5 heights, word for word as training says them: "from 30 degrees left, slightly above".

    Args:
        interpolate: blend the embeddings of neighbouring azimuths.
    """
    around = [k * AZIMUTH_STEP - 360 * (k * AZIMUTH_STEP > 180) for k in range(360 // AZIMUTH_STEP)]
    phrases = tuple(tuple(ViewPhrase(azimuth=a, height=height).phrase for a in around) for height in HEIGHTS)
    return FinePrompts(phrases, tuple(low for low, _ in list(HEIGHTS.values())[1:]), interpolate)
