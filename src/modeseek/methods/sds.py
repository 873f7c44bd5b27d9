"""Score distillation sampling."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.prediction import expand_like
from modeseek.prior import Conditions, Direction, Prior, Scene
from modeseek.rng import Rng, randn
from modeseek.times import Times, Uniform
from modeseek.weight import Weight, sigma_squared


@dataclass(frozen=True)
class SDS:
    """DreamFusion (Poole et al. 2022, arXiv 2209.14988): `grad = w (eps(alpha z + sigma n; t) - n)`.

    Its mean is `-w (sigma / alpha) grad_z E_n log p_t(alpha z + sigma n)`: it climbs the noise-averaged log density.
    One call of the given prior a row; guidance: pass a `Guided` prior (DreamFusion's 100 is scale 101).

    Attributes:
        times: which noise levels to visit, per row.
        weight: w(alpha, sigma).
    """

    times: Times = Uniform(0.02, 0.98)
    weight: Weight = sigma_squared

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
        scene: Scene | None = None,
    ) -> tuple[Direction, None]:
        """The direction; no state."""
        z = z.detach()
        t = self.times(progress, len(z), rng).to(z)
        alpha, sigma = prior.schedule(t)
        eps = randn(tuple(z.shape), rng, z)
        z_t = expand_like(alpha, z) * z + expand_like(sigma, z) * eps
        prediction = prior.at(z_t, alpha, sigma, conditions)
        grad = expand_like(self.weight(alpha, sigma), z) * (prediction.eps - eps)
        return Direction(grad, t=t, eps=eps, prediction=prediction, logs={"t": t}), None
