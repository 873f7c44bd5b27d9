"""MVDream's reconstruction loss over a group of views."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times
from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import add_noise
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.batched import guidance_conditions, predict_branches
from modeseek.priors.guidance import extrapolate, require_unguided
from modeseek.rng import Rng, rand, randn


@dataclass(frozen=True)
class Opening:
    """`t ~ U[low, high]` whose ends leave `start` together and reach `low` and `high` at `until` (MVDream's law).

    Attributes:
        start: the one time at first.
        low: lower end at last.
        high: upper end at last.
        until: progress at which the ends arrive, linearly.
    """

    start: float = 0.98
    low: float = 0.02
    high: float = 0.5
    until: float = 0.8

    def __post_init__(self) -> None:
        if not (0 <= self.low <= self.high <= 1 and 0 <= self.start <= 1 and 0 < self.until <= 1):
            raise ValueError(f"Opening needs 0 <= low <= high <= 1, start in [0, 1], until in (0, 1]: got {self}; fix")

    def __call__(self, progress: float, n: int, rng: Rng) -> Float[Tensor, "n"]:
        share = min(1.0, progress / self.until)
        low, high = (self.start + (end - self.start) * share for end in (self.low, self.high))
        return low + (high - low) * rand((n,), rng, torch.empty(0))


@dataclass(frozen=True)
class MVDream:
    """MVDream (Shi et al. 2023, arXiv 2308.16512): `grad = w (z - z_hat)`, z_hat guided and brought back in spread.

    Each `views` consecutive rows are one group, the views of one scene, which share t (the draw of the group's first
    row) and one spread: `z_hat = z_s (share std(z_cond) / std(z_s) + 1 - share)`, z_s guided with `scale`, std over
    all numbers of the group. Rescaling view by view instead would wash out what makes a dark view dark. For w = 1
    and share 0 it is SDS with weight sigma / alpha.

    Two calls of a bare prior a row, as one batched call with the groups kept together (a multi-view network attends
    across them); one at scale 1 or without conditions. Cameras belong to the conditions.

    Attributes:
        views: rows a group.
        scale: guidance.
        rescale: share in [0, 1].
        times: which noise levels to visit, per group.
        weight: w(alpha, sigma).
    """

    views: int = 4
    scale: float = 50.0
    rescale: float = 0.5
    times: Times = Opening()
    weight: Weight = unit_weight

    def __post_init__(self) -> None:
        if self.views < 1 or not 0 <= self.rescale <= 1:
            raise ValueError(f"MVDream needs views >= 1, rescale in [0, 1]: got {self.views}, {self.rescale}; fix them")

    @property
    def block(self) -> int | None:
        """A group."""
        return self.views

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        require_unguided(prior, "MVDream")

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
        """The direction; no state.

        Raises:
            TypeError: the prior is guided already.
            ValueError: a batch of incomplete groups, or no baseline to guide away from.
        """
        require_unguided(prior, "MVDream")
        z = z.detach()
        if len(z) % self.views:
            raise ValueError(f"MVDream takes groups of {self.views} views: got {len(z)} rows; render a multiple")
        t = self.times(progress, len(z), rng).to(z)[:: self.views].repeat_interleave(self.views)
        alpha, sigma = prior.schedule(t)
        eps = randn(tuple(z.shape), rng, z)
        z_t = add_noise(z, eps, alpha, sigma)
        plain, *bases = predict_branches(prior, z_t, alpha, sigma, guidance_conditions(conditions, self.scale))
        prediction = plain
        if bases:
            prediction = self._rescaled(extrapolate(bases[0], plain, torch.full_like(alpha, self.scale)), plain)
        grad = expand_like(self.weight(alpha, sigma), z) * (z - prediction.z)
        return Direction(grad, t=t, eps=eps, prediction=prediction, logs={"t": t}), None

    def _rescaled(self, mixed: Prediction, plain: Prediction) -> Prediction:
        groups = len(mixed.z) // self.views
        wide, right = mixed.z.reshape(groups, -1), plain.z.reshape(groups, -1)
        if self.rescale == 0 or wide.shape[1] == 1:
            return mixed
        ratio = right.std(1) / wide.std(1).clamp(min=torch.finfo(wide.dtype).tiny)
        factor = (self.rescale * ratio + 1 - self.rescale).repeat_interleave(self.views)
        z = mixed.z * expand_like(factor, mixed.z)
        return Prediction.from_z(mixed.z_t, mixed.alpha, mixed.sigma, z, mixed.clamped)
