"""Restoration problem: a prior, the true images and their measurements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.codec import Identity, ImageCodec
from modeseek.experiments.restoration.degradations import Degradation
from modeseek.operators import Operator
from modeseek.priors.base import Prior
from modeseek.priors.kernel_density import KernelDensity
from modeseek.pytree import Cond
from modeseek.rng import Rng, Streams, randn
from modeseek.sampling.posterior import Measurement

LEAST_NOISE = 0.005  # standard deviation that is assumed of measurements without noise, about a grey level


@dataclass(frozen=True)
class Truth:
    """True images under a prior.

    Attributes:
        image: images in [0, 1].
        cond: condition of each, or None.
        items: number of each image, which determines its random numbers.
        names: what each image shows.
    """

    image: Float[Tensor, "n c h w"]
    cond: Cond
    items: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class ImagePrior:
    """Prior of images with its codec and scale.

    Attributes:
        prior: prior, unguided.
        codec: codec between images and z.
        pixels: whether z is the image up to an affine map, so that measurements of the image are measurements of z.
        spread: standard deviation of z under the prior.
        gain: standard deviation of images per unit of z.
        features: features of images, for distances; None without.
        log_prob: log density of z; None without.
        density: the prior itself where it is a kernel density estimate, whose posterior is exact; else None.
    """

    prior: Prior
    codec: ImageCodec
    pixels: bool
    spread: float
    gain: float
    features: Callable[[Tensor], Tensor] | None = None
    log_prob: Callable[[Tensor], Tensor] | None = None
    density: KernelDensity | None = None


@dataclass(frozen=True)
class Problem:
    """True images, degraded.

    Attributes:
        space: prior of the images.
        truth: the true images.
        degradation: the degradation.
        noise: standard deviation of the noise of the measurement, pixel values, >= 0.
        seed: random seed.
    """

    space: ImagePrior
    truth: Truth
    degradation: Degradation
    noise: float
    seed: int

    @cached_property
    def operator(self) -> Operator:
        """Operator on images."""
        return self.degradation.make(self.truth.image.shape[-1], self.seed)

    @cached_property
    def y(self) -> Float[Tensor, "n *e"]:
        """Measurements, with noise."""
        y = self.operator(self.truth.image)
        noise = randn(tuple(y.shape), self.rng("measurement"), y)
        if not y.shape == self.truth.image.shape:
            return y + self.noise * noise
        seen = (self.operator(torch.ones_like(y)) != 0).to(y)  # a hidden pixel has no noise
        return y + self.noise * noise * seen

    @property
    def degraded(self) -> Float[Tensor, "n c h w"]:
        """Image of the measurements, in [0, 1]."""
        return self.degradation.show(self.operator, self.y).clamp(0, 1)

    @cached_property
    def measurement(self) -> Measurement:
        """Measurement as the samplers take it: of z where z is the image, else of the decoded image."""
        noise, codec = max(self.noise, LEAST_NOISE), self.space.codec
        if not self.space.pixels:
            return Measurement(self.operator, self.y, noise, codec, self.space.gain)
        zero, one = (float(codec.encode(torch.tensor(value))) for value in (0.0, 1.0))
        y = (one - zero) * self.y + zero * self.operator(torch.ones_like(self.truth.image))
        return Measurement(self.operator, y, (one - zero) * noise, Identity())

    @cached_property
    def start(self) -> Float[Tensor, "n *d"]:
        """First estimate: z of the degraded images."""
        return self.space.codec.encode(self.degraded).to(self.space.prior.dtype)

    def noised_start(self, rng: Rng) -> Float[Tensor, "n *d"]:
        """Pure noise at the first time of the prior's grid."""
        return self.space.prior.start(len(self.truth.items), rng)

    def rng(self, use: str) -> Streams:
        """Random streams of a purpose, one per image."""
        return Streams(self.seed, items=self.truth.items, use=use)

    def decode(self, z: Tensor) -> Float[Tensor, "n c h w"]:
        """Images in [0, 1]."""
        with torch.no_grad():
            return self.space.codec.decode(z).float().clamp(0, 1)

    def with_prior(self, prior: Prior) -> Problem:
        """The problem under a wrapped prior."""
        return replace(self, space=replace(self.space, prior=prior))

    def log_posterior(self, z: Tensor) -> Float[Tensor, "n"] | None:
        """`log p(z) + log p(y | z)` up to a constant of the image, in nats; None without a density of the prior."""
        if self.space.log_prob is None:
            return None
        residual = self.measurement.residual(z.double()).flatten(1)
        return self.space.log_prob(z) - residual.square().sum(1) / (2 * self.measurement.noise**2)
