"""Linear measurement of an image with Gaussian noise, as the posterior samplers take it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.codec.base import Codec, Identity
from modeseek.diffusion.prediction import expand_like
from modeseek.operators.base import Operator
from modeseek.priors.base import PerRow, Rows
from modeseek.rng import Rng, randn

_WIDEST = 1e3  # largest bandwidth, so that it is finite at alpha = 0


@dataclass(frozen=True, eq=False)
class Measurement:
    """Measurement `y = A x + s n` of the image `x = decode(z)`, with n standard normal.

    Attributes:
        operator: A.
        y: measurement, a row per image, (b, *e).
        noise: s, standard deviation of the noise in units of y, > 0.
        codec: codec between z and x; by default z is the image.
        gain: standard deviation of x per unit of z, > 0; it converts standard deviations of z to those of x.
    """

    operator: Operator
    y: Float[Tensor, "b *e"]
    noise: float
    codec: Codec = Identity()
    gain: float = 1.0

    def __post_init__(self) -> None:
        for name, value, other in (("noise", self.noise, 0.01), ("gain", self.gain, 1.0)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value}; try {other}")
        if not self.y.isfinite().all():
            raise ValueError("y must be finite, got NaN or infinity; check the measurement")

    def residual(self, image: Float[Tensor, "b *d"]) -> Float[Tensor, "b *e"]:
        """Returns `y - A x`."""
        return self.y.to(image) - self.operator(image)

    def update(self, image: Float[Tensor, "b *d"], width: PerRow) -> Float[Tensor, "b *d"]:
        """Change of x to the mean of `N(x, w^2 I)` times the likelihood, `w^2 A' (w^2 A A' + s^2 I)^-1 (y - A x)`.

        The mean minimises `|y - A x'|^2 / s^2 + |x' - x|^2 / w^2`. One solve, in float64.

        Args:
            image: x.
            width: w, standard deviation in units of x, > 0.
        """
        return self._update(image, self.y, width)

    def sample(self, image: Float[Tensor, "b *d"], width: PerRow, rng: Rng) -> Float[Tensor, "b *d"]:
        """Draws from `N(x, w^2 I)` times the likelihood, exactly: the mean of a problem whose x and y are perturbed.

        Perturbation by the noise of both factors gives the covariance too (Papandreou and Yuille 2010). One solve.
        """
        x = image + expand_like(width, image) * randn(tuple(image.shape), rng, image)
        y = self.y.to(image)
        y = y + self.noise * randn(tuple(y.shape), rng, y)
        return x + self._update(x, y, width)

    def apply(self, z: Rows, image: Float[Tensor, "b *d"], change: Float[Tensor, "b *d"]) -> Rows:
        """Returns z moved as its image x is changed, `z + encode(x + change) - encode(x)`; exact where z is x."""
        return z + (self.codec.encode(image + change) - self.codec.encode(image)).to(z)

    def width(self, alpha: PerRow, sigma: PerRow, spread: float | None = None) -> PerRow:
        """Standard deviation of x given z_t, `sigma c / sqrt(sigma^2 + alpha^2 c^2)`, times the gain.

        Exact for a prior `N(m, c^2 I)`.

        Args:
            alpha: signal scale.
            sigma: noise scale.
            spread: c, standard deviation of z under the prior; None is a flat prior, of width `sigma / alpha`.
        """
        if spread is None:
            return self.gain * (sigma / alpha.clamp(min=torch.finfo(alpha.dtype).tiny)).clamp(max=_WIDEST)
        return self.gain * spread * sigma / torch.hypot(sigma, alpha * spread)

    def _update(self, image: Tensor, y: Tensor, width: PerRow) -> Tensor:
        b = (width.double() / self.noise) ** 2
        return self.operator.gain(y.double() - self.operator(image.double()), 1.0, b).to(image)
