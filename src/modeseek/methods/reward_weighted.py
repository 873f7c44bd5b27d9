"""Reward-weighted score distillation around any method that noises z once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.methods.base import Direction, Method, RenderContext, has_target
from modeseek.methods.noising import NoisedBatch, NoisingMethod, StepInput, noise_batch
from modeseek.methods.reverse_flow import flow_to_data
from modeseek.methods.rewards import Candidates, LikelihoodReward, Reward, evaluate_reward
from modeseek.methods.sds import SDS
from modeseek.priors.base import Conditions, Prior, select_conditions
from modeseek.priors.guidance import find_guidance, with_guidance
from modeseek.rng import Rng, randn

_BEST, _WORST = 0.9, -0.1  # weights of the two best and of the two worst candidates


@dataclass(frozen=True)
class RewardWeighted:
    """RewardSDS (Chachy et al. 2025, arXiv 2503.09601): `grad = sum_k c_k grad_k` over n noises, c by their rewards.

    Each item draws one t and n noises. Every noised point is denoised to an image in `steps` DDIM steps, and the
    reward of the images gives the weights c of the directions that the wrapped method takes with these noises:

        min-max: 0.45 for each of the two best, -0.05 for each of the two worst (the authors').
        best: 1 for the best, as a sample of the best of n.
        softmax: `exp(reward)` over its sum.

    With equal rewards softmax is the mean over the noises, so the wrapped method with less variance. For a Gaussian
    prior and a reward that rises along one axis, "best" moves the noise along it from mean 0 to that of the largest of
    n normal numbers (1.03 for n = 4), and leaves the other axes.

    Costs n times the calls of the method, `steps` more per noise (twice that with guidance), and those of the reward.

    Attributes:
        method: wrapped method; one that noises z once (SDS, CSD, NFSD, RFDS, AsyncSD ...) and needs no context.
        reward: score of denoised images, higher is better.
        n: number of noises per item, >= 4 for min-max, else >= 1.
        strategy: weights, see above.
        steps: DDIM steps from z_t to the image, >= 1 (the authors: 15).
        denoise_scale: classifier-free guidance scale of these steps; 1 is no guidance.
    """

    references: ClassVar[tuple[str, ...]] = ("reward-sds", "sds")
    guides: ClassVar[bool] = False
    method: Method = SDS()
    reward: Reward = LikelihoodReward()
    n: int = 4
    strategy: Literal["min-max", "best", "softmax"] = "min-max"
    steps: int = 15
    denoise_scale: float = 7.5

    def __post_init__(self) -> None:
        self._noising()
        if self.strategy not in ("min-max", "best", "softmax"):
            raise ValueError(f"RewardWeighted strategy must be min-max, best or softmax, got {self.strategy!r}")
        least = 4 if self.strategy == "min-max" else 1
        if self.n < least or self.steps < 1:
            raise ValueError(
                f"RewardWeighted n must be >= {least} for {self.strategy} and steps >= 1, got {self.n} and "
                f"{self.steps}; try 4 and 15"
            )

    def _noising(self) -> NoisingMethod:
        if not isinstance(self.method, NoisingMethod):
            raise TypeError(
                f"RewardWeighted method must noise z once, got {type(self.method).__name__}; try SDS(), CSD() or RFDS()"
            )
        return self.method

    @property
    def has_target(self) -> bool:
        """True if the directions of the wrapped method have a target in z."""
        return has_target(self.method)

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        """Refuses a guided prior if the wrapped method applies guidance itself."""
        self.method.init(z, prior)

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
        """Returns the direction at z, without `eps` and `prediction`; logs mean and best reward of each item.

        Raises:
            TypeError: the prior is guided and the wrapped method applies guidance itself.
            ValueError: rewards that are not one finite number per candidate.
        """
        self.init(z, prior)
        method, z, b = self._noising(), z.detach(), len(z)
        row = torch.arange(b, device=z.device).repeat_interleave(self.n)
        t = method.times(progress, b, rng).to(z, non_blocking=True)
        noised = noise_batch(z[row], randn((len(row), *z.shape[1:]), rng, z), t[row], prior)
        expanded = None if conditions is None else select_conditions(conditions, row)
        rewards = self._rewards(noised, row, prior, conditions, expanded, rng, context)
        each = method.direction(noised, StepInput(prior, expanded, progress, rng, None))
        weights = self._weights(rewards)
        grad = (expand_like(weights.flatten(), each.grad) * each.grad).unflatten(0, (b, self.n)).sum(1)
        logs = {"t": t, "reward": rewards.mean(1), "best_reward": rewards.amax(1)}
        held = None if each.weight is None else each.weight[:: self.n] * weights.sum(1)
        return Direction(grad, t=t, weight=held, logs=logs), None

    def _rewards(
        self,
        noised: NoisedBatch,
        row: Tensor,
        prior: Prior,
        conditions: Conditions | None,
        expanded: Conditions | None,
        rng: Rng,
        context: RenderContext | None,
    ) -> Float[Tensor, "b n"]:
        guide = find_guidance(prior)
        bare = prior if guide is None else guide.prior
        with torch.no_grad():
            denoiser = with_guidance(bare, self.denoise_scale, expanded)
            z = flow_to_data(denoiser, noised.z_t, noised.t, self.steps, expanded).z
        candidates = Candidates(z, row, self.n, bare, conditions, rng, context)
        return evaluate_reward(self.reward, candidates).unflatten(0, (-1, self.n))

    def _weights(self, rewards: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        """Returns the weight of each candidate; ties go to the earlier one."""
        if self.strategy == "softmax":
            return rewards.softmax(1)
        order = rewards.argsort(dim=1, descending=True, stable=True)
        ranked = torch.zeros_like(rewards)
        if self.strategy == "best":
            ranked[:, 0] = 1
        else:
            ranked[:, :2], ranked[:, -2:] = _BEST / 2, _WORST / 2
        return torch.zeros_like(rewards).scatter(1, order, ranked)
