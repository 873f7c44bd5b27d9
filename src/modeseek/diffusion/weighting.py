"""Loss weights w(t), as functions of (alpha, sigma)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Weight = Callable[[Tensor, Tensor], Tensor]


def sigma_squared(alpha: Tensor, sigma: Tensor) -> Tensor:
    """`sigma^2`: DreamFusion's, 1 - alpha-bar for variance-preserving schedules."""
    return sigma**2


def unit_weight(alpha: Tensor, sigma: Tensor) -> Tensor:
    """Constant weight 1."""
    return torch.ones_like(sigma)


def alpha_sigma_squared(alpha: Tensor, sigma: Tensor) -> Tensor:
    """`alpha sigma^2`: Fantasia3D's."""
    return alpha * sigma**2


def sigma_over_alpha(alpha: Tensor, sigma: Tensor) -> Tensor:
    """`sigma / alpha`: gives the SDS direction `z - D(z + h n; h)`, which is jittered mean shift."""
    return sigma / alpha


def alpha_sigma(alpha: Tensor, sigma: Tensor) -> Tensor:
    """`alpha sigma / (alpha^2 + sigma^2)`: makes MSD's direction that of SDS with weight sigma^2.

    `h / (1 + h^2)` of the bandwidth on every schedule, which is `alpha sigma` on variance-preserving ones: largest at
    h = 1, and falling towards fine levels only as h does.
    """
    return alpha * sigma / (alpha.square() + sigma.square())
