"""The text prior that ships with modeseek: small rendered scenes, no hub, no GPU."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from modeseek.priors.pipeline import LoRA, MemoryOptions, Pipeline
from modeseek.priors.pipeline.loading import BUNDLED


class Bundled(Pipeline):
    """A latent text-to-image model of captioned scenes, 64 x 64 pixels, in Stable Diffusion's format.

    It knows captions such as "a red cone on a blue cube, side view": one or two objects, eight colours, sizes, three
    relations, views said coarsely or in degrees. Its card is `data/scenes/README.md`; `python -m
    tools.bundled_priors train scenes` makes it again. One network call a row, as every `Pipeline`; its files are
    checked against their SHA-256.

    Args:
        device: where it works.
        dtype: of the network; default bfloat16 on CUDA, else float32.
        loras: low-rank changes.
        economy: how memory and time are saved.
        cache: folder for encoded texts; True is the user's cache folder, None or False keeps them in memory.

    Raises:
        ValueError: a file of it is damaged.
    """

    def __init__(
        self,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        loras: Sequence[LoRA] = (),
        economy: MemoryOptions | None = None,
        cache: str | os.PathLike[str] | None | bool = True,
    ) -> None:
        told = MemoryOptions() if economy is None else economy
        it = Pipeline.load(BUNDLED, device=device, dtype=dtype, loras=loras, economy=told, cache=cache)
        super().__init__(it.pipe, it.family, it.shape, it.text_cache, it.guidance, it.economy, it.device)
