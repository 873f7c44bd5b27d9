"""Gaussian mixture with a blurred version of each of its classes, as exact as the classes themselves."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from modeseek.priors.base import positive_condition
from modeseek.priors.gaussian_mixture import GaussianMixture
from modeseek.pytree import Cond


class BlurredClasses(GaussianMixture):
    """Class-conditional Gaussian mixture whose label `n + k` is class k of n, convolved with `N(0, blur^2 I)`.

    A blurred class has the weights and means of the class, and covariances `Sigma + blur^2 I`: an exact prior for what
    a negative prompt ("blurry, low quality") or the source prompt of SDS-Bridge describes on images. Without a label
    (None or -1) it is the mixture itself, to which blurred classes add nothing.

    Args:
        mixture: mixture with classes.
        blur: standard deviation of the convolution, units of z, > 0.

    Raises:
        ValueError: a mixture without classes, or blur <= 0.
    """

    def __init__(self, mixture: GaussianMixture, blur: float) -> None:
        labels, d = mixture.labels, mixture.means.shape[1]
        if labels is None:
            raise ValueError("mixture must have classes to blur, got one without; try labels=(k,)")
        if not 0 < blur < math.inf:
            raise ValueError(f"blur must be positive and finite, got {blur}; try 0.5")
        noise = blur**2 * torch.eye(d, dtype=mixture.covs.dtype, device=mixture.covs.device)
        super().__init__(
            mixture.weights.repeat(2) / 2,
            mixture.means.repeat(2, 1),
            torch.cat([mixture.covs, mixture.covs + noise]),
            mixture.schedule,
            torch.cat([labels, labels + mixture.n_classes]),
        )
        self.mixture, self.blur = mixture, blur

    def to(self, device: str | torch.device) -> BlurredClasses:
        """Returns the prior on a device.

        Raises:
            ValueError: a device without float64 (mps).
        """
        return BlurredClasses(self.mixture.to(device), self.blur)

    def _log_weights(self, cond: Cond, n: int) -> Tensor:
        log_w, labels = super()._log_weights(cond, n), positive_condition(cond)
        plain = torch.arange(log_w.shape[1], device=log_w.device) < len(self.mixture.weights)
        unlabelled = torch.ones((1, 1), dtype=torch.bool) if labels is None else (labels < 0).expand(n)[:, None]
        return log_w.masked_fill(unlabelled.to(log_w.device) & ~plain, -math.inf).log_softmax(-1)
