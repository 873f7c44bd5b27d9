"""Bundled text-to-image prior: small rendered scenes, no hub, no GPU."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from modeseek.priors.pipeline import LoRA, MemoryOptions, Pipeline
from modeseek.priors.pipeline.loading import BUNDLED


class Bundled(Pipeline):
    """Latent text-to-image model of captioned scenes, 64 x 64 pixels, in Stable Diffusion's format.

    Trained on captions such as "a red cone on a blue cube, side view": one or two objects, eight colours, sizes, three
    relations, viewpoints in words or in degrees. Its model card is `data/scenes/README.md`; `python -m
    tools.bundled_priors train scenes` trains it anew. One network call per row, like every `Pipeline`; its files are
    checked against their SHA-256.

    Args:
        device: device of the network and the autoencoder.
        dtype: dtype of the network; default bfloat16 on CUDA, else float32.
        loras: LoRA files merged into the weights, in this order.
        economy: memory and speed options.
        cache: folder for encoded texts; True is the user's cache folder, None or False keeps them in memory.

    Raises:
        ValueError: a file of the model is damaged.
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
        options = MemoryOptions() if economy is None else economy
        loaded = Pipeline.load(BUNDLED, device=device, dtype=dtype, loras=loras, economy=options, cache=cache)
        super().__init__(
            loaded.pipe, loaded.family, loaded.shape, loaded.text_cache, loaded.guidance, loaded.economy, loaded.device
        )
