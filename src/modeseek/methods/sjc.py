"""Score Jacobian chaining."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.methods.base import Direction, RenderContext
from modeseek.priors.base import Conditions, Prior, select_conditions
from modeseek.rng import Rng, randn


@dataclass(frozen=True)
class SJC:
    """SJC (Wang et al. 2022, arXiv 2212.00774): `grad = (z - D(z + h n; h)) / h`, averaged over `samples` draws of n.

    D is the denoiser in variance-exploding coordinates at `h = sigma / alpha` ("perturb and average"). With variance
    reduction the point z is compared with, so `grad = eps - n`, SDS with weight 1 at the same level; without, the
    noised point is, so `grad = eps`: the same mean. Subtracting n takes variance away only where the noise is larger
    than the data's spread, `h > s` on a Gaussian of standard deviation s, and adds some below.

    `samples` calls of the given prior a row; guidance: pass a `Guided` prior (the authors' 100 is scale 101).

    Attributes:
        times: which noise levels to visit, per row; those without any signal are refused.
        variance_reduction: subtract the drawn noise.
        samples: draws of n averaged per row, at one level and in one batched call.
    """

    times: Times = Uniform(0.01, 0.97)
    variance_reduction: bool = True
    samples: int = 1

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"SJC needs samples >= 1: got {self.samples}; raise it")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        return None

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
        """The direction; no state. `eps` and `prediction` are told where there is one sample.

        Raises:
            ValueError: a level without signal, whose h is infinite.
        """
        z = z.detach()
        t = self.times(progress, len(z), rng).to(z)
        alpha, sigma = prior.schedule(t)
        if (alpha == 0).any():
            raise ValueError(f"SJC has no noise level sigma / alpha at alpha = 0: got t = {t.max():.4g}; lower times")
        rows = torch.arange(len(z), device=z.device).repeat_interleave(self.samples)
        h = (sigma / alpha)[rows]
        eps = randn((len(rows), *z.shape[1:]), rng, z)
        prediction = prior.at(
            z[rows] + expand_like(h, eps) * eps, torch.ones_like(h), h, select_conditions(conditions, rows)
        )
        each = prediction.eps - eps if self.variance_reduction else prediction.eps
        grad = each.reshape(len(z), self.samples, *z.shape[1:]).mean(1)
        logs = {"t": t}
        if self.samples > 1:
            return Direction(grad, t=t, logs=logs), None
        return Direction(grad, t=t, eps=eps, prediction=prediction, logs=logs), None
