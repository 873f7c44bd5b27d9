"""Autoencoder of a latent pipeline as a codec: differentiable, in float32 where half precision overflows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from modeseek.rng import Rng, randn


def downscale(config: Mapping[str, Any]) -> int:
    """Returns the factor between the sides of an image and those of its latent, from the VAE's settings."""
    return 2 ** (len(config["block_out_channels"]) - 1)


@dataclass(frozen=True)
class VAECodec:
    """Autoencoder codec: pixels in [0, 1] to scaled latents and back, `z = (encode(2 image - 1) - shift) scale`.

    `of` reads both from the autoencoder's configuration.

    Encoding and decoding are one call of the autoencoder each, none of the prior.

    Attributes:
        network: diffusers' AutoencoderKL, or an AutoencoderTiny, which has no posterior; frozen.
        scale: inverse standard deviation of raw latents (`scaling_factor`, over `latents_std`); a number, or one per
            channel, (1, c, 1, 1).
        shift: mean of raw latents (`shift_factor` or `latents_mean`); a number, or one per channel, (1, c, 1, 1).
        posterior: encoding: the posterior's mode, or one sample drawn from `rng`.
        rng: random generator of the samples; required where `posterior` is sample.
        recompute: activation checkpointing of the encoder: recomputed in the backward pass, to save memory.
    """

    network: Any
    scale: float | Tensor
    shift: float | Tensor = 0.0
    posterior: Literal["mode", "sample"] = "mode"
    rng: Rng | None = None
    recompute: bool = False

    def __post_init__(self) -> None:
        if self.posterior not in ("mode", "sample"):
            raise ValueError(f"posterior must be 'mode' or 'sample', got {self.posterior!r}")
        if self.posterior == "sample" and self.rng is None:
            raise ValueError("a sampled posterior needs rng: got none; pass a torch.Generator or Streams")

    @classmethod
    def of(cls, network: Any, recompute: bool = False) -> VAECodec:
        """Returns the codec of an autoencoder, with the scale, shift and statistics of its configuration."""
        config = network.config
        mean, std = config.get("latents_mean"), config.get("latents_std")
        if mean is None or std is None:
            return cls(network, config.scaling_factor, config.get("shift_factor") or 0.0, recompute=recompute)
        like = next(network.parameters())
        mean, std = (torch.tensor(part, device=like.device).reshape(1, -1, 1, 1) for part in (mean, std))
        return cls(network, config.scaling_factor / std, mean, recompute=recompute)

    def encode(self, image: Tensor) -> Tensor:
        """Encodes images (b, 3, h, w) in [0, 1] to latents (b, c, h / f, w / f), in the dtype of the image."""
        pixels = 2 * image.to(self._dtype) - 1
        moments = checkpoint(self._moments, pixels, use_reentrant=False) if self.recompute else self._moments(pixels)
        if not self._has_posterior:
            return self._scaled(moments).to(image.dtype)
        mean, log_var = moments.chunk(2, 1)
        if self.posterior == "sample" and self.rng is not None:
            spread = (0.5 * log_var.clamp(-30, 20)).exp()
            mean = mean + spread * randn(tuple(mean.shape), self.rng, mean)
        return self._scaled(mean).to(image.dtype)

    def decode(self, z: Tensor) -> Tensor:
        """Decodes latents to pixels; in [0, 1] up to the overshoot of the decoder."""
        raw = z.to(self._dtype) / self.scale + self.shift
        image = self.network.decode(raw.to(self._dtype), return_dict=False)[0]
        return ((image + 1) / 2).to(z.dtype).contiguous()

    def image_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape (3, h, w) of the image of a latent of this shape."""
        factor = downscale(self.network.config)
        return (self.network.config["in_channels"], factor * shape[1], factor * shape[2])

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.network.parameters()).dtype  # diffusers' own property walks all weights

    @property
    def _has_posterior(self) -> bool:
        return hasattr(self.network, "quant_conv")  # AutoencoderKL, also where that layer is None

    def _scaled(self, mean: Tensor) -> Tensor:
        return ((mean - self.shift) * self.scale).contiguous()

    def _moments(self, pixels: Tensor) -> Tensor:
        output = self.network.encode(pixels, return_dict=False)[0]
        return output.parameters if self._has_posterior else output
