"""Bundled text-to-image prior: small rendered scenes, no hub, no GPU."""

from __future__ import annotations

from typing import Any

from modeseek.io.packaged import packaged_weights
from modeseek.priors.pipeline.pipeline import Pipeline

NAMES = ("scenes",)


def bundled(name: str = "scenes", **options: Any) -> Pipeline:
    """Loads a text-to-image prior that ships with modeseek, in Stable Diffusion's format.

    scenes: a latent model of captioned scenes, 64 x 64 pixels, trained on captions such as "a red cone on a blue cube,
    side view": one or two objects, eight colours, sizes, three relations, viewpoints in words or in degrees. Its model
    card is `data/scenes/README.md`; `python -m tools.bundled_priors train scenes` trains it anew. One network call per
    row, like every `Pipeline`; its files are checked against their SHA-256.

    Args:
        name: scenes.
        options: options of `Pipeline.load`, such as device.

    Raises:
        ValueError: an unknown name, or a file of the model is damaged.
    """
    if name not in NAMES:
        raise ValueError(f"a bundled prior must be one of {', '.join(NAMES)}, got {name!r}; try scenes")
    return Pipeline.load(packaged_weights(name), **options)


Bundled = bundled
