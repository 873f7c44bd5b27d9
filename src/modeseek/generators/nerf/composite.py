"""From densities along rays to what each sample gives to the pixel."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def transmittance(optical_depth: Float[Tensor, "m s"]) -> Float[Tensor, "m s"]:
    """Share of light that reaches each interval, `exp(-sum of the optical depths before it)`."""
    return torch.exp(optical_depth - optical_depth.cumsum(1))


def composite(optical_depth: Float[Tensor, "m s"]) -> tuple[Float[Tensor, "m s"], Float[Tensor, "m"]]:
    """Each sample's weight and the ray's opacity, exact where density is even within an interval (Max 1995).

    Args:
        depth: optical depth of each interval: density times length.

    Returns:
        `w_i = T_i (1 - exp(-depth_i))`, T being the transmittance, and their sum `1 - exp(-sum of depth)`.
    """
    return transmittance(optical_depth) * -torch.expm1(-optical_depth), -torch.expm1(-optical_depth.sum(1))


def accumulate_along_rays(weights: Float[Tensor, "m s"], values: Float[Tensor, "m s c"]) -> Float[Tensor, "m c"]:
    """The weighted sum along each ray."""
    return (weights[:, None] @ values)[:, 0]


def normalize_by_opacity(total: Float[Tensor, "m *c"], opacity: Float[Tensor, "m"]) -> Float[Tensor, "m *c"]:
    """The mean over what is not background; it fades to 0 where opacity is below a hundredth."""
    return total / opacity.clamp_min(0.01).view(-1, *[1] * (total.ndim - 1))
