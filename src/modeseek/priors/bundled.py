"""Text-to-image priors that ship with modeseek: rendered scenes and emoji; no hub, no GPU."""

from __future__ import annotations

from typing import Any

import torch

from modeseek.priors.pipeline.bundled_table import BUNDLED_PRIORS
from modeseek.priors.pipeline.pipeline import Pipeline


def bundled(name: str = "scenes", device: str | torch.device | None = None, **options: Any) -> Pipeline:
    """Loads a text-to-image prior that ships with modeseek, 64 x 64 pixels, in Stable Diffusion's format.

    scenes: one or two simple objects in eight colours, with sizes, three relations, and viewpoints in words or in
    degrees, "a red cone on a blue cube, side view"; trained on our own renders.

    emoji: one everyday object, "an owl", "a red apple, flat emoji, on a pale blue background"; trained on drawings of
    Fluent Emoji (MIT) and Noto Emoji (Apache-2.0).

    Each has a model card, `data/NAME/README.md`; `python -m tools.bundled_priors train NAME` trains it anew. One
    network call per row, like every `Pipeline`; the files are checked against their SHA-256.

    Args:
        name: scenes or emoji.
        device: device of the networks; None is the fastest of this machine: cuda, else mps, else cpu.
        options: other options of `Pipeline.load`, such as dtype or cache.

    Raises:
        ValueError: an unknown name, or a file of the prior is damaged.
    """
    if name not in BUNDLED_PRIORS:
        known = " or ".join(BUNDLED_PRIORS)
        raise ValueError(f"a bundled prior must be {known}, got {name!r}; try ms.Pipeline.load for a folder")
    return Pipeline.load(name, device=device, **options)


Bundled = bundled
