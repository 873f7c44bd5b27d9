"""Delta denoising score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.editing import EditState, Source, init_edit, predict_pair, resolve_source
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import require_unguided
from modeseek.rng import Rng, randn


@dataclass(frozen=True)
class DDS:
    """DDS (Hertz et al. 2023, arXiv 2304.07090): `grad = w (eps_s(z_t, y) - eps_s(z_t source, y source))`.

    Both branches share noise level and noise, so the prior's change of the source itself cancels, and the direction is
    exactly zero at z = source with equal conditions. For a Gaussian prior with covariance C and
    `A = (alpha^2 C + sigma^2)^(-1)` under both conditions, the direction is
    `w sigma A (alpha (z - source) - alpha (mean - mean source))`: no noise is left.

    Costs 4 prior calls per row, as one batched call of an unguided prior; 2 at scale 1. The source prompt is
    `Conditions.source`.

    Attributes:
        source: z of the edited source; None is the initial z of the run (every step must then render the same items).
        times: distribution of t in [0, 1], one draw per row.
        weight: loss weight w(alpha, sigma).
        scale: classifier-free guidance scale of both branches; 1 is no guidance.
    """

    references: ClassVar[tuple[str, ...]] = ("dds",)
    guides: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("source",)
    source: Source | None = None
    times: Times = Uniform(0.05, 0.95)
    weight: Weight = unit_weight
    scale: float = 7.5

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> EditState:
        require_unguided(prior, "DDS")
        return init_edit(self.source, z)

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: EditState,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, EditState]:
        """Returns the direction at z and the unchanged state.

        Raises:
            TypeError: the prior is already guided.
            ValueError: no source condition, no guidance baseline, or a source that does not broadcast to z.
        """
        require_unguided(prior, "DDS")
        z = z.detach()
        source = resolve_source(self.source, state, z, context)
        t = self.times(progress, len(z), rng).to(z, non_blocking=True)
        eps = randn(tuple(z.shape), rng, z)
        target, origin = predict_pair(prior, z, source, t, eps, conditions, self.scale, "DDS")
        grad = expand_like(self.weight(target.alpha, target.sigma), z) * (target.eps - origin.eps)
        return Direction(grad, t=t, eps=eps, prediction=target, logs={"t": t}), state
