"""Losses of the denoiser and the decoder."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


def add_noise(
    z: Float[Tensor, "b *d"], eps: Float[Tensor, "b *d"], alpha_squared: Float[Tensor, "b"]
) -> tuple[Float[Tensor, "b *d"], Float[Tensor, "b *d"]]:
    """Noised point `z_t = alpha z + sigma eps` and target `v = alpha eps - sigma z`.

    The v-parameterization is that of Salimans and Ho 2022 (arXiv:2202.00512).
    """
    shape = (-1, *(1,) * (z.ndim - 1))
    alpha, sigma = alpha_squared.sqrt().view(shape), (1 - alpha_squared).sqrt().view(shape)
    return alpha * z + sigma * eps, alpha * eps - sigma * z


def velocity_loss(
    unet: Any,
    text_embeddings: Float[Tensor, "b n w"],
    z: Float[Tensor, "b *d"],
    eps: Float[Tensor, "b *d"],
    index: Int[Tensor, "b"],
    levels: Float[Tensor, "t"],
) -> Float[Tensor, "b"]:
    """Mean squared error `v - v_hat(z_t, t, text)` of each item.

    Args:
        unet: denoiser, predicts v.
        text_embeddings: text embeddings of the captions.
        z: clean latents.
        eps: Gaussian noise.
        index: index of the noise level of each item.
        levels: alpha^2 of each noise level.
    """
    z_t, v = add_noise(z, eps, levels[index])
    prediction = unet(z_t, index, encoder_hidden_states=text_embeddings, return_dict=False)[0]
    return (prediction.float() - v).square().flatten(1).mean(1)


def reconstruction_loss(
    prediction: Float[Tensor, "b c h w"], image: Float[Tensor, "b c h w"], edge: float
) -> Float[Tensor, ""]:
    """`mean |d| + mean d^2 + edge (mean |dx d| + mean |dy d|)`, d = prediction - image, pixels in [-1, 1]."""
    error = prediction.float() - image
    slopes = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return error.abs().mean() + error.square().mean() + edge * slopes


def psnr(prediction: Tensor, image: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pixels in [0, 1]: `-10 log10 mean (prediction - image)^2`."""
    return -10 * torch.log10((prediction.clamp(0, 1) - image).square().mean()).item()
