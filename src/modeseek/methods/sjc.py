"""Score Jacobian chaining."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.device import on_host
from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.methods.base import Direction, RenderContext
from modeseek.priors.base import Conditions, Prior, select_conditions
from modeseek.rng import Rng, randn


@dataclass(frozen=True)
class SJC:
    """SJC (Wang et al. 2022, arXiv 2212.00774): `grad = (z - D(z + h n; h)) / h`, averaged over `samples` draws of n.

    D is the denoiser in variance-exploding coordinates at `h = sigma / alpha` ("perturb and average"). With variance
    reduction D is compared with z, so `grad = eps - n`, SDS with weight 1 at the same level; without it, with the
    noised point, so `grad = eps`, of the same mean. Subtracting n reduces the variance only where the noise is larger
    than the data's spread, `h > s` on a Gaussian of standard deviation s, and increases it below.

    Costs `samples` prior calls per row; guidance: pass a `Guided` prior (the authors' 100 is scale 101).

    Attributes:
        times: distribution of t in [0, 1], one draw per row; alpha must be > 0 there.
        variance_reduction: True subtracts the drawn noise.
        samples: draws of n averaged per row, >= 1, at one noise level and in one batched call.
    """

    references: ClassVar[tuple[str, ...]] = ("sjc",)
    guides: ClassVar[bool] = False
    times: Times = Uniform(0.01, 0.97)
    variance_reduction: bool = True
    samples: int = 1

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"SJC needs samples >= 1, got {self.samples}")

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
        """Returns the direction at z; the state is None. `eps` and `prediction` are set if `samples` is 1.

        Raises:
            ValueError: alpha = 0, where h is infinite.
        """
        z = z.detach()
        t = self.times(progress, len(z), rng).to(z, non_blocking=True)
        alpha, sigma = prior.schedule(t)
        if on_host(alpha) and (alpha == 0).any():
            raise ValueError(
                f"SJC needs alpha > 0 for its noise level sigma / alpha, got t = {t.max():.4g} with alpha = 0; try "
                "lower times"
            )
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
