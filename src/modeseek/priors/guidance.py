"""Guidance: priors that guide a prior, in one convention, `eps = eps_null + scale (eps_cond - eps_null)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.schedule import Schedule, log_snr
from modeseek.priors.base import Conditions, PerRow, Prior, Rows, positive_condition
from modeseek.priors.batched import evaluate_batched
from modeseek.priors.wrapper import PriorWrapper, wrappers
from modeseek.pytree import Cond, expand, select

MAX_SCALE = 1e6  # of guidance; that of DreamFusion is 101


def in_guidance_interval(interval: tuple[float, float], schedule: Schedule, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Returns whether each level lies within a time interval of the schedule.

    Ends of 0 and 1 include all levels beyond. Levels are compared in log-SNR, so those that the schedule itself never
    visits are covered too.
    """
    low, high = interval
    level = log_snr(alpha, sigma)
    ends = torch.tensor([low, high], dtype=level.dtype).to(level.device, non_blocking=True)
    cleanest, noisiest = log_snr(*schedule(ends))
    within = torch.ones_like(level, dtype=torch.bool)
    if low > 0:
        within &= level <= cleanest
    if high < 1:
        within &= level >= noisiest
    return within


def check_scale(scale: float) -> None:
    """Raises ValueError for a guidance scale that is not finite, or beyond all use."""
    if not abs(scale) < float("inf"):
        raise ValueError(f"scale must be finite, got {scale}; 1 is no guidance")
    if abs(scale) > MAX_SCALE:
        raise ValueError(f"scale must be at most {MAX_SCALE:.0e} in size, got {scale}; 1 is no guidance")


def extrapolate(base: Prediction, target: Prediction, scale: Float[Tensor, "b"]) -> Prediction:
    """Returns `base + scale (target - base)`, in z and eps alike."""
    s = expand_like(scale, base.z_t)
    z, eps = base.z + s * (target.z - base.z), base.eps + s * (target.eps - base.eps)
    return Prediction(target.z_t, target.alpha, target.sigma, z, eps, base.clamped | target.clamped)


@dataclass(frozen=True)
class Guided(PriorWrapper):
    """Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598) as a prior.

    `eps = eps_base + scale (eps_cond - eps_base)`, base the negative condition where given, else the null one.
    DreamFusion-style numbers are this scale minus 1. Two prior calls per row, as one batched call; one where the
    guidance is off (scale 1, or outside the interval).

    Attributes:
        prior: prior to guide, conditioned on `Conditions.positive`.
        scale: guidance scale; 1 is plain conditional, 0 the baseline.
        interval: times of the prior's schedule within which guidance acts (Kynkaanniemi et al. 2024, arXiv 2404.07724).
        rescale: strength in [0, 1] with which the standard deviation of each item's z is brought back to that of the
            conditional z (Lin et al. 2023, arXiv 2305.08891; on z, as MVDream does).
    """

    prior: Prior
    scale: float = 7.5
    interval: tuple[float, float] = (0.0, 1.0)
    rescale: float = 0.0
    guides: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _validate(self.interval)
        check_scale(self.scale)
        if not 0 <= self.rescale <= 1:
            raise ValueError(f"Guided rescale must lie in [0, 1]: got {self.rescale}; 0 switches it off")

    def at(self, z_t: Rows, alpha: PerRow, sigma: PerRow, cond: Cond = None) -> Prediction:
        """Returns the guided prediction; cond must be a `Conditions`.

        Raises:
            TypeError: cond is no `Conditions`.
        """
        if not isinstance(cond, Conditions):
            raise TypeError(
                f"Guided needs Conditions(positive=..., null=...), got {type(cond).__name__}; "
                "try prior.conditions([prompt])"
            )
        n = z_t.shape[0]
        target = expand(cond.positive, n)
        if self.scale == 1:
            return self.prior.at(z_t, alpha, sigma, target)
        baseline = expand(cond.baseline, n)
        if self.interval == (0, 1):  # every row, without a look at the levels
            plain, base = evaluate_batched(self.prior, [(z_t, alpha, sigma, target), (z_t, alpha, sigma, baseline)])
            mixed = extrapolate(base, plain, torch.full_like(alpha, self.scale))
            return self._rescaled(mixed, plain)
        guided = in_guidance_interval(self.interval, self.prior.schedule, alpha, sigma)
        if not guided.any():
            return self.prior.at(z_t, alpha, sigma, target)
        rows = guided.nonzero()[:, 0]
        plain, base = evaluate_batched(
            self.prior, [(z_t, alpha, sigma, target), (z_t[rows], alpha[rows], sigma[rows], select(baseline, rows))]
        )
        base = _rows(base, guided.cumsum(0).clamp(min=1) - 1)  # a row outside the interval takes any
        scale = torch.where(guided, torch.full_like(alpha, self.scale), 1.0)
        mixed = self._rescaled(extrapolate(base, plain, scale), plain)
        keep = expand_like(guided, z_t)
        z, eps = torch.where(keep, mixed.z, plain.z), torch.where(keep, mixed.eps, plain.eps)
        return Prediction(z_t, alpha, sigma, z, eps, mixed.clamped)

    def _rescaled(self, mixed: Prediction, plain: Prediction) -> Prediction:
        return mixed if self.rescale == 0 or mixed.z[0].numel() == 1 else _rescaled(mixed, plain, self.rescale)


@dataclass(frozen=True)
class AutoGuidance(PriorWrapper):
    """Guidance by a weaker prior: `eps = eps_weak + scale (eps - eps_weak)` (Karras et al. 2024, arXiv 2406.02507).

    Two prior calls per row, one of them of the weak prior; a `Conditions` is reduced to its positive.

    Attributes:
        prior: prior to guide.
        weak: weaker model of the same data (smaller, or trained less).
        scale: guidance scale; 1 is the guided prior alone, 0 the weak one.
        interval: times of the prior's schedule within which guidance acts.
    """

    prior: Prior
    weak: Prior
    scale: float = 2.0
    interval: tuple[float, float] = (0.0, 1.0)
    guides: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _validate(self.interval)

    def at(self, z_t: Rows, alpha: PerRow, sigma: PerRow, cond: Cond = None) -> Prediction:
        good = self.prior.at(z_t, alpha, sigma, positive_condition(cond))
        if self.scale == 1:
            return good
        guided = in_guidance_interval(self.interval, self.prior.schedule, alpha, sigma)
        if self.interval != (0, 1) and not guided.any():
            return good
        scale = torch.where(guided, torch.full_like(alpha, self.scale), 1.0)
        return extrapolate(self.weak.at(z_t, alpha, sigma, positive_condition(cond)), good, scale)


def find_guidance(prior: Prior) -> PriorWrapper | None:
    """Returns the outermost guiding prior among this one and those that it wraps; None if none guides."""
    return next((wrapper for wrapper in wrappers(prior) if wrapper.guides), None)


def require_unguided(prior: Prior, method: str) -> None:
    """Checks that the prior is unguided, for methods that evaluate raw branches and have their own scale.

    Raises:
        TypeError: the prior is guided.
    """
    guide = find_guidance(prior)
    if guide is not None:
        raise TypeError(
            f"{method} guides by itself: got a {type(guide).__name__} prior; pass the bare prior (in a run, scale 1)"
        )


def with_guidance(prior: Prior, scale: float, conditions: Conditions | None) -> Prior:
    """Returns the bare prior guided by a method's own scale; unchanged without conditions."""
    return prior if conditions is None else Guided(prior, scale)


def _validate(interval: tuple[float, float]) -> None:
    if not 0 <= interval[0] < interval[1] <= 1:
        raise ValueError(f"a guidance interval needs 0 <= low < high <= 1: got {interval}; try (0, 1)")


def _rows(p: Prediction, rows: Tensor) -> Prediction:
    return Prediction(p.z_t[rows], p.alpha[rows], p.sigma[rows], p.z[rows], p.eps[rows], p.clamped[rows])


def _rescaled(mixed: Prediction, plain: Prediction, share: float) -> Prediction:
    ratio = plain.z.flatten(1).std(1) / mixed.z.flatten(1).std(1).clamp(min=torch.finfo(plain.z.dtype).tiny)
    z = mixed.z * expand_like(share * ratio + (1 - share), mixed.z)
    return Prediction.from_z(mixed.z_t, mixed.alpha, mixed.sigma, z, mixed.clamped)
