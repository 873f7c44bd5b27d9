"""Rewards: functions that score denoised candidates, and the one that every prior has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.device import on_host
from modeseek.methods.base import RenderContext
from modeseek.priors.base import Conditions, Prior, positive_condition
from modeseek.rng import Rng
from modeseek.sampling.likeliest import denoising_loss


@dataclass(frozen=True)
class Candidates:
    """What a reward may read beside the images: m candidates, `each` consecutive ones of every row of the batch.

    Attributes:
        z: candidates as z, (m, *d).
        row: row of the batch of each candidate, (m,).
        each: number of candidates of each row.
        prior: unguided prior.
        conditions: conditions of the batch, or None; `select_conditions(conditions, row)` are those of the candidates.
        rng: random stream of the step.
        context: rendering behind the batch, or None; its rows are those of the batch.
    """

    z: Float[Tensor, "m *d"]
    row: Int[Tensor, "m"]
    each: int
    prior: Prior
    conditions: Conditions | None
    rng: Rng
    context: RenderContext | None


@runtime_checkable
class Reward(Protocol):
    """Score of images, higher is better; a function of the same arguments will do in Python.

    A dataclass that is named by its import path in a configuration also says `scores_images: ClassVar[bool] = True`,
    which distinguishes it from other callable objects.
    """

    def __call__(self, images: Float[Tensor, "m ..."], candidates: Candidates) -> Float[Tensor, "m"]:
        """Returns the reward of each candidate, (m,); images (m, c, h, w) in [0, 1], z itself if it is no image."""
        ...


def evaluate_reward(reward: Reward, candidates: Candidates) -> Float[Tensor, "m"]:
    """Returns the reward of every candidate, whose images are decoded where there is a context; nothing has a graph.

    Raises:
        ValueError: the rewards are not one finite number per candidate.
    """
    z, context = candidates.z, candidates.context
    with torch.no_grad():
        images = z if z.ndim != 4 or context is None else context.codec.decode(z).clamp(0, 1)
        rewards = reward(images, candidates)
    if rewards.shape != (len(z),) or (on_host(rewards) and not rewards.isfinite().all()):
        raise ValueError(
            f"reward must be {len(z)} finite numbers, one per image, got shape {tuple(rewards.shape)}"
            f"{'' if rewards.isfinite().all() else ' with NaN or infinity'}; correct the reward"
        )
    return rewards.to(z)


@dataclass(frozen=True)
class LikelihoodReward:
    """Reward by the prior itself: minus the mean denoising loss of z under its condition, relative to its scale.

    The mean squared error of the predicted noise, over 4 noise levels and 2 noises which all candidates of a row
    share (`sampling.likeliest.denoising_loss`), bounds the negative log-likelihood. Costs 8 prior calls per candidate.

    Attributes:
        sharpness: factor of the reward, > 0; it matters to softmax weights only.
    """

    scores_images: ClassVar[bool] = True
    sharpness: float = 100.0

    def __post_init__(self) -> None:
        if not 0 < self.sharpness < float("inf"):
            raise ValueError(f"LikelihoodReward sharpness must be positive, got {self.sharpness}; try 100")

    def __call__(self, images: Float[Tensor, "m ..."], candidates: Candidates) -> Float[Tensor, "m"]:
        z, each = candidates.z, candidates.each
        samples = z.unflatten(0, (-1, each)).transpose(0, 1)  # candidates of a row share its noise
        cond = positive_condition(candidates.conditions)
        losses = denoising_loss(candidates.prior, samples, cond, candidates.rng)
        return -self.sharpness * losses.T.flatten().to(z)
