"""View phrases of the scene captions as camera-dependent prompts."""

from __future__ import annotations

from modeseek.camera_conditions.fine_prompts import FinePrompts
from modeseek.datasets.scenes.view_phrases import AZIMUTH_STEP, HEIGHTS, ViewPhrase


def fine_prompts(interpolate: bool = True) -> FinePrompts:
    """Fine prompts of 24 azimuths by 5 heights, exactly as in the training captions.

    Args:
        interpolate: whether to blend the embeddings of neighbouring azimuths.
    """
    azimuths = [k * AZIMUTH_STEP - 360 * (k * AZIMUTH_STEP > 180) for k in range(360 // AZIMUTH_STEP)]
    phrases = tuple(tuple(ViewPhrase(azimuth=a, height=height).phrase for a in azimuths) for height in HEIGHTS)
    return FinePrompts(phrases, tuple(low for low, _ in list(HEIGHTS.values())[1:]), interpolate)
