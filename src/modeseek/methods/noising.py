"""Forward diffusion of a batch, and the base class of methods that noise z once in a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times
from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.weighting import Weight
from modeseek.methods.base import Direction, RenderContext
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import require_unguided
from modeseek.pytree import Cond
from modeseek.rng import Rng, randn


@dataclass(frozen=True)
class NoisedBatch:
    """Noised batch: `z_t = alpha z + sigma eps`.

    Attributes:
        z: clean points, detached, (b, *d).
        eps: noise, standard normal, (b, *d).
        t: time in [0, 1] per row, (b,).
        alpha: signal scale per row, (b,).
        sigma: noise scale per row, (b,).
        z_t: noised points, (b, *d).
    """

    z: Float[Tensor, "b *d"]
    eps: Float[Tensor, "b *d"]
    t: Float[Tensor, "b"]
    alpha: Float[Tensor, "b"]
    sigma: Float[Tensor, "b"]
    z_t: Float[Tensor, "b *d"]

    def predict(self, prior: Prior, cond: Cond = None) -> Prediction:
        """Returns the prior's prediction at the noised points; one prior call per row of a bare prior."""
        return prior.at(self.z_t, self.alpha, self.sigma, cond)

    def direction(self, weight: Weight, residual: Tensor, prediction: Prediction | None, **logs: Tensor) -> Direction:
        """Returns the direction `w(alpha, sigma) residual`; logs t beside what is given."""
        grad = expand_like(weight(self.alpha, self.sigma), residual) * residual
        return Direction(grad, t=self.t, eps=self.eps, prediction=prediction, logs={"t": self.t, **logs})

    def direction_to_target(
        self, weight: Weight, residual: Tensor, prediction: Prediction | None, **logs: Tensor
    ) -> Direction:
        """Returns `direction` for a residual of noise, with its weight as `w alpha / sigma (z - target)`.

        The target is `z - sigma / alpha residual`: for a residual `eps_hat - eps` the posterior mean.
        """
        held = weight(self.alpha, self.sigma) * self.alpha / self.sigma
        return replace(self.direction(weight, residual, prediction, **logs), weight=held)


def noise_batch(
    z: Float[Tensor, "b *d"], eps: Float[Tensor, "b *d"], t: Float[Tensor, "b"], prior: Prior
) -> NoisedBatch:
    """Noises z with given noise to the levels that the prior's own schedule has at times t."""
    alpha, sigma = prior.schedule(t)
    return NoisedBatch(z, eps, t, alpha, sigma, add_noise(z, eps, alpha, sigma))


def sample_noised(z: Float[Tensor, "b *d"], prior: Prior, times: Times, progress: float, rng: Rng) -> NoisedBatch:
    """Draws a time and noise for every row, and noises z, detached, on the prior's own schedule."""
    t = times(progress, len(z), rng).to(z, non_blocking=True)
    return noise_batch(z.detach(), randn(tuple(z.shape), rng, z), t, prior)


def add_noise(
    z: Float[Tensor, "b *d"], eps: Float[Tensor, "b *d"], alpha: Float[Tensor, "b"], sigma: Float[Tensor, "b"]
) -> Float[Tensor, "b *d"]:
    """Returns `alpha z + sigma eps`, row by row; a DDIM step if z and eps come from a prediction."""
    return expand_like(alpha, z) * z + expand_like(sigma, z) * eps


@dataclass(frozen=True)
class StepInput:
    """Arguments of a method's `step` besides z and the state.

    Attributes:
        prior: prior given to the step.
        conditions: conditions of the prior, or None.
        progress: completed share of the run in [0, 1].
        rng: random stream of the step.
        context: rendering behind z, or None.
    """

    prior: Prior
    conditions: Conditions | None
    progress: float
    rng: Rng
    context: RenderContext | None


class NoisingMethod(ABC):
    """Base class of methods without a state that noise z once in a step: `grad = w(t) residual`.

    A method is a frozen dataclass with `times` and `weight` among its fields; it implements `direction`. One that
    applies guidance itself (`guides`) refuses a guided prior with a TypeError.

    Attributes:
        times: distribution of t in [0, 1], one draw per row.
        weight: loss weight w(alpha, sigma).
    """

    references: ClassVar[tuple[str, ...]]
    guides: ClassVar[bool]
    times: Times
    weight: Weight

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        """Returns None, the state; refuses a guided prior if the method applies guidance itself."""
        if self.guides:
            require_unguided(prior, type(self).__name__)

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: None,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, None]:
        """Returns the direction at z; the state is None."""
        self.init(z, prior)
        inputs = StepInput(prior, conditions, progress, rng, context)
        return self.direction(self.draw_noised(z, inputs), inputs), None

    def draw_noised(self, z: Float[Tensor, "b *d"], inputs: StepInput) -> NoisedBatch:
        """Draws a time and noise for every row of z."""
        return sample_noised(z, inputs.prior, self.times, inputs.progress, inputs.rng)

    @abstractmethod
    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        """Returns the direction at the noised points."""
        ...
