"""Memory and speed options of pipelines: switches of diffusers and torch, with one meaning for every family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from modeseek.io.errors import reason


@dataclass(frozen=True)
class MemoryOptions:
    """Memory and speed options of a pipeline; none changes a direction beyond rounding.

    Attributes:
        offload: storage of the network's weights. none: on the device. blocks: in main memory, one block at a time on
            the device. leaves: one layer at a time, the least memory and the slowest. The autoencoder stays on the
            device, since gradients flow back through it.
        channels_last: channels-last memory layout of convolutions, faster on tensor cores and on CPUs; None uses it on
            the CPU alone.
        compile: torch.compile of the network; the first call takes minutes, later ones less.
        slices: sliced attention (U-Nets only); rarely needed with fused attention, which is faster.
        tiles: tiled autoencoder, for large images; overlapping tiles are blended at the seams.
        recompute: activation checkpointing of the encoder: recomputed in the backward pass instead of stored.
    """

    offload: Literal["none", "blocks", "leaves"] = "none"
    channels_last: bool | None = None
    compile: bool = False
    slices: bool = False
    tiles: bool = False
    recompute: bool = False

    def __post_init__(self) -> None:
        if self.offload not in ("none", "blocks", "leaves"):
            raise ValueError(f"offload must be none, blocks or leaves, got {self.offload!r}")
        if self.compile and self.offload != "none":
            raise ValueError(
                f"a compiled network cannot be offloaded: got compile and {self.offload!r}; try offload none"
            )


def apply_memory_options(network: Any, vae: Any | None, device: torch.device, options: MemoryOptions) -> None:
    """Moves network and autoencoder to the device and applies the options, in place.

    Raises:
        ValueError: an option that this architecture does not support.
    """
    kind = type(network).__name__
    channels_last = device.type == "cpu" if options.channels_last is None else options.channels_last
    if vae is not None:
        vae.to(device)
        if channels_last:
            vae.to(memory_format=torch.channels_last)
        if options.tiles:
            vae.enable_tiling()
    elif options.tiles or options.recompute:
        raise ValueError("tiles and recompute need an autoencoder, got a pipeline of pixels; set them to false")
    if options.slices:
        if not hasattr(network, "set_attention_slice"):
            raise ValueError(f"a {kind} has no sliced attention, got slices; set it to false")
        network.set_attention_slice("auto")
    if channels_last:
        network.to(memory_format=torch.channels_last)
    if options.offload == "none":
        network.to(device)
    else:
        _offload(network, device, options.offload)
    if options.compile:
        network.compile()


def _offload(network: Any, device: torch.device, offload: Literal["blocks", "leaves"]) -> None:
    options: dict[str, Any] = {"offload_type": "leaf_level"}
    if offload == "blocks":
        options = {"offload_type": "block_level", "num_blocks_per_group": 1}
    try:
        network.enable_group_offload(onload_device=device, offload_device=torch.device("cpu"), **options)
    except ValueError as error:
        raise ValueError(f"this network cannot be offloaded: {reason(error)}; set offload to none") from error
