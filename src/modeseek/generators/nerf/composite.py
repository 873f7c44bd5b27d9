"""Volume rendering weights and compositing along rays."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def transmittance(optical_depth: Float[Tensor, "m s"]) -> Float[Tensor, "m s"]:
    """Returns the transmittance up to each interval, `exp(-sum of the optical depths before it)`."""
    return torch.exp(optical_depth - optical_depth.cumsum(1))


def composite(optical_depth: Float[Tensor, "m s"]) -> tuple[Float[Tensor, "m s"], Float[Tensor, "m"]]:
    """Returns rendering weights and ray opacity, exact for piecewise constant density (Max 1995).

    Args:
        optical_depth: optical depth of each interval, density times length.

    Returns:
        `w_i = T_i (1 - exp(-depth_i))`, T being the transmittance, and their sum
        `1 - exp(-sum of optical depths)`.
    """
    return transmittance(optical_depth) * -torch.expm1(-optical_depth), -torch.expm1(-optical_depth.sum(1))


def accumulate_along_rays(weights: Float[Tensor, "m s"], values: Float[Tensor, "m s c"]) -> Float[Tensor, "m c"]:
    """Returns the weighted sum of sample values along each ray."""
    return (weights[:, None] @ values)[:, 0]


def normalize_by_opacity(total: Float[Tensor, "m *c"], opacity: Float[Tensor, "m"]) -> Float[Tensor, "m *c"]:
    """Divides accumulated values by opacity: the mean over the foreground, fading to 0 below opacity 0.01."""
    return total / opacity.clamp_min(0.01).view(-1, *[1] * (total.ndim - 1))
