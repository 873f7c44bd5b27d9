"""SteinDreamer: score distillation with a control variate from Stein's identity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.control_variate import ControlVariate, VariateState
from modeseek.methods.sds import SDS
from modeseek.priors.base import Conditions, Prior
from modeseek.rng import Rng

Baseline = Callable[[Tensor, RenderContext | None], Tensor]
"""phi: of the noised points and the context, one number per row (b,); differentiable in the points."""


def constant_baseline(z_t: Tensor, context: RenderContext | None) -> Tensor:
    """-1 everywhere: the baseline with which `SteinDreamer` at mu = 1 is SDS."""
    return torch.full((len(z_t),), -1.0, dtype=z_t.dtype, device=z_t.device)


@dataclass(frozen=True)
class Stein:
    """The variate `w (n phi(z_t) - sigma grad phi(z_t))`: of mean zero at `z_t = alpha z + sigma n`, says Stein.

    The baseline's gradient is had by differentiating it, so it must not detach its points; and the phi of a row must
    look at that row's point alone. The mean is lost otherwise.

    Attributes:
        baseline: phi.
        weight: w(alpha, sigma), the method's.
    """

    baseline: Baseline
    weight: Weight = sigma_squared

    def __call__(
        self, z: Float[Tensor, "b *d"], direction: Direction, context: RenderContext | None
    ) -> Float[Tensor, "b *d"]:
        """Its value for the direction's own noise.

        Raises:
            ValueError: a direction without noise or prediction, one whose prediction is not of `alpha z + sigma n`,
                or a baseline that is not one number per row.
        """
        p, n = direction.prediction, direction.eps
        if p is None or n is None:
            raise ValueError("Stein's identity needs the noise drawn and the point asked: got a direction without them")
        alpha, sigma = expand_like(p.alpha, z), expand_like(p.sigma, z)
        if not torch.allclose(p.z_t, alpha * z + sigma * n, rtol=1e-2, atol=1e-2):
            raise ValueError(
                "Stein's identity holds at alpha z + sigma n: got a prediction elsewhere; use SDS or alike"
            )
        with torch.enable_grad():
            z_t = p.z_t.detach().requires_grad_()
            phi = self.baseline(z_t, context)
            if phi.shape != (len(z),):
                raise ValueError(f"a baseline is one number per row, ({len(z)},): got {tuple(phi.shape)}; sum the rest")
            slope = torch.zeros_like(z_t)
            if phi.requires_grad:
                (slope,) = torch.autograd.grad(phi.sum(), z_t)
        w = expand_like(self.weight(p.alpha, p.sigma), z)
        return w * (n * expand_like(phi.detach(), z) - sigma * slope)


@dataclass(frozen=True)
class _NoiseFreeSDS:
    """SDS without its own control variate: `grad = w eps(alpha z + sigma n)`."""

    sds: SDS

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        return self.sds.init(z, prior)

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
        d, _ = self.sds.step(z, prior, state, conditions=conditions, progress=progress, rng=rng, context=context)
        p = d.prediction
        assert p is not None
        return replace(d, grad=expand_like(self.sds.weight(p.alpha, p.sigma), z) * p.eps), None


@dataclass(frozen=True)
class SteinDreamer:
    """SteinDreamer (Wang et al. 2024, arXiv 2401.00604): `grad = w [eps + mu (n phi(z_t) - sigma grad phi(z_t))]`.

    The mean is SDS's for every baseline phi and every mu; mu is learned to make the second moment least (see
    `ControlVariate`). With the constant baseline -1 the variate is SDS's own -n: mu = 1 is SDS, and the learned mu
    knows what SDS does not: at levels where the signal dominates, subtracting the noise adds variance. For a round
    Gaussian prior of variance v, the best mu is `sigma^2 / (alpha^2 v + sigma^2)` and no variance is left. The paper's
    baselines compare rendered depth or normals with an estimate from z_t.

    One call of the given prior a row, and what the baseline spends; guidance: pass a `Guided` prior.

    Attributes:
        baseline: phi(z_t, context), (b,).
        times: which noise levels to visit, per row.
        weight: w(alpha, sigma).
        initial: mu until there is something to go by.
        per: one coefficient a sample, or one for each element, as in the paper.
        bins: levels [0, 1] of t are divided into this many, each with coefficients of its own.
        warm: visits of a bin before its coefficient is trusted, at least 2.
        memory: steps over which the coefficient's running means reach back, at least 2; infinite never forgets.
    """

    baseline: Baseline = constant_baseline
    times: Times = Uniform(0.02, 0.98)
    weight: Weight = sigma_squared
    initial: float = 1.0
    per: Literal["sample", "element"] = "sample"
    bins: int = 10
    warm: int = 10
    memory: float = 1000.0

    def __post_init__(self) -> None:
        self.control_variate()

    def control_variate(self) -> ControlVariate:
        """What it is made of; ValueError where an option is out of range."""
        score = _NoiseFreeSDS(SDS(self.times, self.weight))
        stein = Stein(self.baseline, self.weight)
        return ControlVariate(score, stein, self.initial, self.per, self.bins, self.warm, self.memory)

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> VariateState:
        """Nothing learned yet."""
        return self.control_variate().init(z, prior)

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: VariateState,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, VariateState]:
        """The direction, and what was learned from it."""
        return self.control_variate().step(
            z, prior, state, conditions=conditions, progress=progress, rng=rng, context=context
        )
