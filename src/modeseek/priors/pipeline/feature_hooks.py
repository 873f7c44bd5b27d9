"""Self-attention features of a network of diffusers, by forward hooks."""

from __future__ import annotations

import math
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from modeseek.priors.features import FeatureMap

# Self-attention of the up blocks of a U-Net, or of all blocks of a transformer.
_LAYERS = re.compile(r"up_blocks\..*\.attn1|transformer_blocks\.\d+\.attn1?")


@contextmanager
def record_self_attention(network: nn.Module, shape: tuple[int, ...]) -> Generator[list[FeatureMap]]:
    """Records the outputs of the network's self-attention layers in a list of maps (b, c, h, w).

    Args:
        network: U-Net or transformer of diffusers.
        shape: shape of z, (channels, height, width), whose aspect the grids of patches have.

    Raises:
        ValueError: the network has no such layer.
    """
    layers = [module for name, module in network.named_modules() if _LAYERS.fullmatch(name)]
    if not layers:
        raise ValueError(
            f"{type(network).__name__} must have self-attention layers for features, got none; try features=..."
        )
    maps: list[FeatureMap] = []

    def record(_module: nn.Module, _inputs: Any, output: Any) -> None:
        tokens: Tensor = output[0] if isinstance(output, tuple) else output
        rows = round(math.sqrt(tokens.shape[1] * shape[-2] / shape[-1]))
        maps.append(tokens.transpose(1, 2).unflatten(2, (rows, -1)))

    handles = [layer.register_forward_hook(record) for layer in layers]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()
