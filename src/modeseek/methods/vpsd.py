"""Vectorized particle-based score distillation: VSD with a reward for phi's own samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Switch, Times
from modeseek.methods.auxiliary import AuxiliaryInput, AuxiliaryTarget
from modeseek.methods.noising import add_noise, sample_noised
from modeseek.methods.rewards import Candidates, Reward, evaluate_reward
from modeseek.methods.vsd import VSD, AuxiliaryTraining
from modeseek.pytree import expand
from modeseek.rng import Rng, randn


@dataclass(frozen=True)
class _GivenTimes:
    """Times of the direction, for phi."""

    t: Float[Tensor, "b"]

    def __call__(self, progress: float, n: int, rng: Rng) -> Float[Tensor, "n"]:
        return self.t


@dataclass(frozen=True)
class VPSD(VSD):
    """VPSD, SVGDreamer (Xing et al. 2024, arXiv 2312.16476): VSD whose phi also learns rewarded samples of its own.

    `min E |phi(z_t) - n|^2 + strength E r |phi(y_t) - n|^2`, z_t a noised particle at the noise level of the direction,
    y a sample drawn from phi by DDIM under the same condition and r its reward: reward feedback learning, which speeds
    phi's convergence up. y is redrawn at each update. Without a reward it is VSD with SVGDreamer's settings.

    Costs as VSD; with a reward `sample_steps` evaluations of phi per row and update more, and those of the reward.

    Attributes:
        times: distribution of t in [0, 1] for the direction, one draw per row (the authors: to 0.98, to 0.5 from step
            1,000 on, here from half of the run).
        share: True trains phi at the noise levels of the direction, False at its own `phi_times`.
        reward: score of images of phi's samples; None is no reward.
        strength: weight of the rewarded loss relative to that of the particles, >= 0.
        sample_steps: DDIM steps of a sample of phi, >= 1.
    """

    references: ClassVar[tuple[str, ...]] = ("vpsd", "vsd")
    times: Times = Switch(0.02, 0.98, 0.5)
    share: bool = True
    reward: Reward | None = None
    strength: float = 1.0
    sample_steps: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.strength >= 0 or self.sample_steps < 1:
            raise ValueError(
                f"VPSD needs strength >= 0 and sample_steps >= 1, got {self.strength} and {self.sample_steps}; "
                "try 1 and 20"
            )

    def _training_times(self, t: Float[Tensor, "b"]) -> Times:
        return _GivenTimes(t) if self.share else self.phi_times

    def _training_batch(
        self, phi: Any, training: AuxiliaryTraining
    ) -> tuple[AuxiliaryInput, tuple[AuxiliaryTarget, ...]]:
        """Returns the noised particles, with a reward the noised samples of phi behind them, and their targets."""
        inputs, targets = super()._training_batch(phi, training)
        if self.reward is None:
            return inputs, targets
        y = self._draw_samples(phi, training)
        row = torch.arange(len(y), device=y.device)
        candidates = Candidates(y, row, 1, training.prior, training.conditions, training.rng, training.context)
        rewards = evaluate_reward(self.reward, candidates)
        noised = sample_noised(y, training.prior, training.times, training.progress, training.rng)
        both = replace(
            inputs.take(row.repeat(2)),
            z=torch.cat([inputs.z, y]),
            z_t=torch.cat([inputs.z_t, noised.z_t]),
            alpha=torch.cat([inputs.alpha, noised.alpha]),
            sigma=torch.cat([inputs.sigma, noised.sigma]),
        )
        (target,) = targets
        shares = torch.cat([torch.full_like(rewards, 1.0), self.strength * rewards])
        return both, (AuxiliaryTarget(shares, torch.cat([target.z, y]), torch.cat([target.eps, noised.eps])),)

    def _draw_samples(self, phi: Any, training: AuxiliaryTraining) -> Float[Tensor, "b *d"]:
        """Draws a sample of phi for every row, under its condition and camera."""
        z, conditions, n = training.z, training.conditions, len(training.z)
        cond = None if conditions is None else expand(conditions.positive, n)
        grid = torch.linspace(1, 0, self.sample_steps + 1, dtype=z.dtype, device=z.device)[:-1]
        levels = [training.prior.schedule(t.expand(n)) for t in grid]
        y = add_noise(torch.zeros_like(z), randn(tuple(z.shape), training.rng, z), *levels[0])
        for index, (alpha, sigma) in enumerate(levels, 1):
            p = self.auxiliary.predict(phi, AuxiliaryInput(z, y, alpha, sigma, cond, training.camera))
            y = p.z if index == len(levels) else add_noise(p.z, p.eps, *levels[index])
        return y.to(z)
