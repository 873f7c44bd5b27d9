"""Mean-shift distillation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.schedule import Cosine, ScaledSchedule, level_of
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.meanshift.bandwidth import Adaptive, Bandwidth, ScheduledBandwidth, as_bandwidth, prior_scale
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.kernel_score import kernel_score
from modeseek.priors.base import Conditions, Prior, select_conditions
from modeseek.priors.product import Product
from modeseek.ramp import Varying, value_at
from modeseek.rng import Rng, randn
from modeseek.sampling.samplers import heun

Estimator = Literal["denoiser", "product", "kernel-score"]
Noise = Literal["independent", "antithetic", "common"]


@dataclass(frozen=True)
class MSDState:
    """State of MSD.

    Attributes:
        bandwidth: state of the bandwidth schedule; None before the first step.
        h: last bandwidth of each row, units of z, (b,); None before the first step.
        relative_shift: last `|shift| / (h sqrt(d))` of each row, (b,); None before the first step.
        noise: noise shared by all steps if `noise="common"`, else None.
        progress: progress of the last step, in [0, 1].
    """

    bandwidth: Any = None
    h: Tensor | None = None
    relative_shift: Tensor | None = None
    noise: Tensor | None = None
    progress: float = 0.0


@dataclass(frozen=True)
class MSD:
    """Mean-shift distillation (Thamizharasan et al. 2025, arXiv 2502.15989): `grad = w (z - target)`.

    The target is `D(z; h) = E[y]`, `y ~ p(y) N(y; z, h^2 I)`, so with weight 1 SGD with learning rate 1 on free points
    is the mean-shift iteration, and fixed points are the modes of p * N(0, h^2 I). Guidance: pass a `Guided` prior.

    `z - target` grows with h. Adam divides by its recent size, so that under a falling bandwidth and weight 1 the fine
    levels hardly move a generator: for images, drawings and volumes use `Along` with weight `alpha_sigma`.

    Estimators and their cost in prior calls per row and step:
        denoiser: `D(z; h)` itself, by Tweedie (ours). 1 call, no variance; exact for exact priors.
        product: the mean of `samples` drawn from the product prior by `sampler` in `steps` steps (ours), in units of
            h from pure noise, where the product's noised distribution is known exactly. `samples` times 2 steps - 1
            (heun), or `steps` (ddim, dpmpp_2m).
        kernel-score: the paper's sampler, see `kernel_score`; `samples` times `steps` calls. Biased.

    Attributes:
        bandwidth: bandwidth schedule in units of z: Fixed, Geometric, Adaptive, Along, or another `Bandwidth`; a number
            is `Fixed`.
        estimator: estimator of the target, see above.
        steps: sampler steps (product, kernel-score), >= 1.
        samples: number of samples averaged per row (product, kernel-score), >= 1.
        jitter: share of h in [0, 1], or a function of progress: the target is taken at `z + jitter h n`. 0 is MSD; 1
            is SDS with weight `sigma / alpha` times `weight`.
        noise: independent draws; antithetic pairs (`samples` even); or one draw for the whole run (common).
        sampler: sampler of the product: `ddim`, `heun` or `dpmpp_2m`.
        interval: range of t on the prior's schedule in which the paper's kernel term is active (kernel-score).
        noise_scale: factor on the paper's initial noise (kernel-score).
        tol: largest relative shift of a converged row at the last bandwidth.
        weight: weight w(alpha, sigma) of the direction, at the level of the prior's own schedule where `sigma / alpha`
            is h.
        finish: estimator from progress `finish_from` on; None keeps `estimator` throughout.
        finish_from: progress at which `finish` takes over, in [0, 1].
    """

    references: ClassVar[tuple[str, ...]] = ("msd", "meanshift", "annealed-meanshift")
    guides: ClassVar[bool] = False
    has_target: ClassVar[bool] = True
    bandwidth: Bandwidth | float
    estimator: Estimator = "denoiser"
    steps: int = 16
    samples: int = 1
    jitter: Varying = 0.0
    noise: Noise = "independent"
    sampler: Callable[..., Tensor] = heun
    interval: tuple[float, float] = (0.0, 1.0)
    noise_scale: float = 1.0
    tol: float = 1e-4
    weight: Weight = unit_weight
    finish: Estimator | None = None
    finish_from: float = 0.7

    def __post_init__(self) -> None:
        object.__setattr__(self, "bandwidth", as_bandwidth(self.bandwidth))
        for name, value in (("estimator", self.estimator), ("finish", self.finish)):
            if value not in ("denoiser", "product", "kernel-score") and not (name == "finish" and value is None):
                raise ValueError(f"MSD {name} must be 'denoiser', 'product' or 'kernel-score', got {value!r}")
        if not 0 <= self.finish_from <= 1:
            raise ValueError(f"MSD finish_from must be in [0, 1], got {self.finish_from}; try 0.7")
        if self.noise not in ("independent", "antithetic", "common"):
            raise ValueError(f"MSD noise must be 'independent', 'antithetic' or 'common', got {self.noise!r}")
        if self.steps < 1 or self.samples < 1:
            raise ValueError(f"MSD needs steps >= 1 and samples >= 1, got {self.steps} and {self.samples}")
        if self.noise == "antithetic" and self.samples % 2:
            raise ValueError(
                f"MSD samples must be even with antithetic noise, got {self.samples}; try {self.samples + 1}"
            )
        if not callable(self.jitter) and not 0 <= self.jitter <= 1:
            raise ValueError(f"MSD jitter must be in [0, 1], got {self.jitter}; try 0, which is none")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> MSDState:
        return MSDState()

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: MSDState,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, MSDState]:
        """Returns the direction `w (z - target)` and the next state."""
        z = z.detach()
        bandwidth, inner = as_bandwidth(self.bandwidth), state.bandwidth
        if isinstance(bandwidth, ScheduledBandwidth):
            bandwidth = bandwidth.on(prior.schedule, rng)
        if state.relative_shift is None:
            scale = None
            if isinstance(self.bandwidth, Adaptive) and self.bandwidth.start is None:
                scale = prior_scale(prior, z, rng, conditions)
            inner = bandwidth.init(len(z), scale)
        last_shift = z.new_full((len(z),), torch.inf) if state.relative_shift is None else state.relative_shift
        h, inner = bandwidth.next(progress, last_shift, inner)
        share = value_at(self.jitter, progress)
        point, eps = z, None
        if share > 0:
            eps = randn(tuple(z.shape), rng, z)
            point = z + share * expand_like(h, z) * eps
        estimator = self.estimator if self.finish is None or progress < self.finish_from else self.finish
        target, prediction, noise = self._target(estimator, point, prior, h, conditions, rng, state.noise)
        relative = (target - z).flatten(1).norm(dim=1) / (h * z[0].numel() ** 0.5)
        unit = self.weight is unit_weight  # needs no level, which takes as long as the rest of the step
        weight = torch.ones_like(h) if unit else self.weight(*level_of(prior.schedule, h))
        direction = Direction(
            expand_like(weight, z) * (z - target),
            eps=eps,
            prediction=prediction,
            weight=weight,
            logs={"bandwidth": h, "relative_shift": relative},
        )
        return direction, MSDState(inner, h, relative, noise, progress)

    def done(self, state: MSDState) -> Bool[Tensor, "b"]:
        """Returns True for converged rows: at the last bandwidth, with relative shift <= `tol`."""
        if state.h is None or state.relative_shift is None:
            raise ValueError("MSD.done needs the state after a step, got the initial one; try calling step first")
        if isinstance(self.bandwidth, ScheduledBandwidth):
            ended = self.bandwidth.ended(state.progress, state.h)
        else:
            ended = state.h <= as_bandwidth(self.bandwidth).end * (1 + 1e-6)
        return ended & (state.relative_shift <= self.tol)

    def _target(
        self,
        estimator: Estimator,
        z: Tensor,
        prior: Prior,
        h: Tensor,
        cond: Conditions | None,
        rng: Rng,
        noise: Tensor | None,
    ) -> tuple[Tensor, Prediction | None, Tensor | None]:
        if estimator == "denoiser":
            p = prior.at(z, torch.ones_like(h), h, cond)
            return z - expand_like(h, z) * p.eps, p, None
        noise = self._noise(z, rng) if noise is None else noise
        if noise.shape != (len(z) * self.samples, *z.shape[1:]):
            raise ValueError(f"MSD with common noise needs one batch shape for the whole run, got {tuple(z.shape)}")
        rows = torch.arange(len(z), device=z.device).repeat_interleave(self.samples)
        center, width, conditions = z[rows], h[rows], select_conditions(cond, rows)
        if estimator == "product":
            product = Product(prior, center, width, ScaledSchedule(Cosine(), width))
            times = torch.linspace(1, 0, self.steps + 1, dtype=z.dtype)  # on the CPU, where samplers can read them
            y = self.sampler(product, product.noise_center(noise), times, conditions)
        else:
            y = kernel_score(prior, center, width, noise, self.steps, conditions, self.interval, self.noise_scale)
        mean = y.reshape(len(z), self.samples, *z.shape[1:]).mean(1)
        return mean, None, noise if self.noise == "common" else None

    def _noise(self, z: Tensor, rng: Rng) -> Tensor:
        if self.noise == "antithetic":
            half = randn((len(z) * self.samples // 2, *z.shape[1:]), rng, z)
            return torch.stack([half, -half], 1).flatten(0, 1)
        return randn((len(z) * self.samples, *z.shape[1:]), rng, z)
