"""MVDream: reconstruction loss over groups of views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times
from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction
from modeseek.methods.noising import NoisedBatch, NoisingMethod, StepInput, sample_noised
from modeseek.priors.batched import guidance_conditions, predict_branches
from modeseek.priors.guidance import extrapolate
from modeseek.rng import Rng, rand


@dataclass(frozen=True)
class Opening:
    """Uniform distribution of t that widens linearly from `start` to [`low`, `high`] (MVDream's schedule).

    Attributes:
        start: both ends at progress 0, in [0, 1].
        low: final lower end, in [0, 1].
        high: final upper end, in [low, 1].
        until: progress in (0, 1] at which the ends are final.
    """

    start: float = 0.98
    low: float = 0.02
    high: float = 0.5
    until: float = 0.8

    def __post_init__(self) -> None:
        if not (0 <= self.low <= self.high <= 1 and 0 <= self.start <= 1 and 0 < self.until <= 1):
            raise ValueError(f"Opening needs 0 <= low <= high <= 1, start in [0, 1] and until in (0, 1], got {self}")

    def __call__(self, progress: float, n: int, rng: Rng) -> Float[Tensor, "n"]:
        share = min(1.0, progress / self.until)
        low, high = (self.start + (end - self.start) * share for end in (self.low, self.high))
        return low + (high - low) * rand((n,), rng, torch.empty(0))


@dataclass(frozen=True)
class MVDream(NoisingMethod):
    """MVDream (Shi et al. 2023, arXiv 2308.16512): `grad = w (z - z_hat)`, z_hat guided and rescaled.

    Each `views` consecutive rows are one group, the views of one scene, which share t (the draw of the group's first
    row) and one standard deviation: `z_hat = z_s (share std(z_cond) / std(z_s) + 1 - share)`, z_s guided with
    `scale`, std over all numbers of the group. Rescaling view by view instead would remove the differences in
    brightness between views. For w = 1 and share 0 it is SDS with weight sigma / alpha.

    Costs 2 prior calls per row, as one batched call of an unguided prior with the rows of a group consecutive (a
    multi-view network attends across them); 1 at scale 1 or without conditions. Cameras belong to the conditions.

    Attributes:
        views: rows per group, >= 1.
        scale: classifier-free guidance scale; 1 is no guidance.
        rescale: share of guidance rescaling in [0, 1]; 0 is none.
        times: distribution of t in [0, 1], one draw per group.
        weight: loss weight w(alpha, sigma).
    """

    references: ClassVar[tuple[str, ...]] = ("mvdream",)
    guides: ClassVar[bool] = True
    views: int = 4
    scale: float = 50.0
    rescale: float = 0.5
    times: Times = Opening()
    weight: Weight = unit_weight

    def __post_init__(self) -> None:
        if self.views < 1 or not 0 <= self.rescale <= 1:
            raise ValueError(f"MVDream needs views >= 1, rescale in [0, 1], got {self.views} and {self.rescale}")

    @property
    def needs_cameras(self) -> bool:
        """True if a group has several views."""
        return self.views > 1

    @property
    def block(self) -> int | None:
        """Group size: number of consecutive rows that are views of one scene."""
        return self.views

    def draw_noised(self, z: Float[Tensor, "b *d"], inputs: StepInput) -> NoisedBatch:
        """Draws a time for every group and noise for every row; ValueError if there is no whole number of groups."""
        if len(z) % self.views:
            raise ValueError(f"MVDream needs a multiple of {self.views} views, got {len(z)} rows; try another batch")

        def times(progress: float, n: int, rng: Rng) -> Tensor:
            return self.times(progress, n, rng)[:: self.views].repeat_interleave(self.views)

        return sample_noised(z, inputs.prior, times, inputs.progress, inputs.rng)

    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        """Returns the direction at the noised points; ValueError if there is no guidance baseline."""
        conds, alpha = guidance_conditions(inputs.conditions, self.scale), noised.alpha
        plain, *bases = predict_branches(inputs.prior, noised.z_t, alpha, noised.sigma, conds)
        prediction = plain
        if bases:
            prediction = self._rescaled(extrapolate(bases[0], plain, torch.full_like(alpha, self.scale)), plain)
        return noised.direction(self.weight, noised.z - prediction.z, prediction)

    def _rescaled(self, mixed: Prediction, plain: Prediction) -> Prediction:
        groups = len(mixed.z) // self.views
        guided, conditional = mixed.z.reshape(groups, -1), plain.z.reshape(groups, -1)
        if self.rescale == 0 or guided.shape[1] == 1:
            return mixed
        ratio = conditional.std(1) / guided.std(1).clamp(min=torch.finfo(guided.dtype).tiny)
        factor = (self.rescale * ratio + 1 - self.rescale).repeat_interleave(self.views)
        z = mixed.z * expand_like(factor, mixed.z)
        return Prediction.from_z(mixed.z_t, mixed.alpha, mixed.sigma, z, mixed.clamped)
