"""SteinDreamer: SDS with a control variate from Stein's identity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.device import on_host
from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.control_variate import ControlVariate, VariateState
from modeseek.methods.noising import NoisedBatch, StepInput
from modeseek.methods.sds import SDS
from modeseek.priors.base import Conditions, Prior
from modeseek.rng import Rng

Baseline = Callable[[Tensor, RenderContext | None], Tensor]
"""Baseline phi: maps noised points and the context to one number per row, (b,); differentiable in the points."""


def constant_baseline(z_t: Tensor, context: RenderContext | None) -> Tensor:
    """Constant baseline -1, with which `SteinDreamer` at mu = 1 is SDS."""
    return torch.full((len(z_t),), -1.0, dtype=z_t.dtype, device=z_t.device)


@dataclass(frozen=True)
class Stein:
    """Stein control variate `w (n phi(z_t) - sigma grad phi(z_t))`, of mean zero at `z_t = alpha z + sigma n`.

    The baseline is differentiated by autograd, so it must not detach its points, and the value of a row may depend on
    that row's point only; otherwise the variate is biased.

    Attributes:
        baseline: baseline phi.
        weight: loss weight w(alpha, sigma) of the method.
    """

    baseline: Baseline
    weight: Weight = sigma_squared

    def __call__(
        self, z: Float[Tensor, "b *d"], direction: Direction, context: RenderContext | None
    ) -> Float[Tensor, "b *d"]:
        """Returns the variate for the direction's own noise.

        Raises:
            ValueError: the direction has no noise or prediction, its prediction is not at `alpha z + sigma n`, or the
                baseline does not return one number per row.
        """
        p, n = direction.prediction, direction.eps
        if p is None or n is None:
            raise ValueError("Stein needs a direction with eps and prediction, got one without; try SDS")
        alpha, sigma = expand_like(p.alpha, z), expand_like(p.sigma, z)
        if on_host(z) and not torch.allclose(p.z_t, alpha * z + sigma * n, rtol=1e-2, atol=1e-2):
            raise ValueError(
                "Stein needs a prediction at alpha z + sigma eps, got one at another point; try SDS or a similar method"
            )
        with torch.enable_grad():
            z_t = p.z_t.detach().requires_grad_()
            phi = self.baseline(z_t, context)
            if phi.shape != (len(z),):
                raise ValueError(
                    f"baseline must return one number per row, ({len(z)},), got {tuple(phi.shape)}; try a sum"
                )
            slope = torch.zeros_like(z_t)
            if phi.requires_grad:
                (slope,) = torch.autograd.grad(phi.sum(), z_t)
        w = expand_like(self.weight(p.alpha, p.sigma), z)
        return w * (n * expand_like(phi.detach(), z) - sigma * slope)


@dataclass(frozen=True)
class _NoiseFreeSDS(SDS):
    """SDS without the noise term: `grad = w eps(alpha z + sigma n)`."""

    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        prediction = noised.predict(inputs.prior, inputs.conditions)
        return noised.direction(self.weight, prediction.eps, prediction)


@dataclass(frozen=True)
class SteinDreamer:
    """SteinDreamer (Wang et al. 2024, arXiv 2401.00604): `grad = w [eps + mu (n phi(z_t) - sigma grad phi(z_t))]`.

    The mean is that of SDS for every baseline phi and every mu; mu is learned to minimise the second moment (see
    `ControlVariate`). With the constant baseline -1 the variate is -n: mu = 1 is SDS, and the learned mu improves on
    SDS at levels where the signal dominates, as subtracting the noise there adds variance. For an isotropic Gaussian
    prior of variance v, the best mu is `sigma^2 / (alpha^2 v + sigma^2)` and no variance is left. The paper's
    baselines compare rendered depth or normals with an estimate from z_t.

    Costs 1 prior call per row, plus the evaluation of the baseline; guidance: pass a `Guided` prior.

    Attributes:
        baseline: baseline phi(z_t, context), (b,).
        times: distribution of t in [0, 1], one draw per row.
        weight: loss weight w(alpha, sigma).
        initial: mu before `warm` visits of a bin.
        per: one coefficient per sample, or per element as in the paper.
        bins: number of equal bins of t in [0, 1] with separate coefficients, >= 1.
        warm: visits of a bin before its learned coefficient is used, >= 2.
        memory: time constant of the coefficient's running means in steps, >= 2; infinite weights all steps equally.
    """

    references: ClassVar[tuple[str, ...]] = ("stein",)
    guides: ClassVar[bool] = False
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
        """Returns the equivalent `ControlVariate`; ValueError if an option is out of range."""
        score, stein = _NoiseFreeSDS(self.times, self.weight), Stein(self.baseline, self.weight)
        return ControlVariate(score, stein, self.initial, self.per, self.bins, self.warm, self.memory)

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> VariateState:
        """Returns zero moments."""
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
        """Returns the direction and the state with updated moments."""
        return self.control_variate().step(
            z, prior, state, conditions=conditions, progress=progress, rng=rng, context=context
        )
