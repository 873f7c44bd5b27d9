"""Noise schedules: monotone paths along the log-SNR axis.

Every schedule maps a time t in [0, 1] to `alpha, sigma` of `z_t = alpha z + sigma eps`, with log-SNR
`log(alpha^2 / sigma^2)` strictly decreasing in t, and inverts that map exactly with `t_of`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from modeseek.device import on_host


@runtime_checkable
class Schedule(Protocol):
    """Noise schedule: a monotone path along the log-SNR axis."""

    def __call__(self, t: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
        """Returns `alpha, sigma` at times t in [0, 1]."""
        ...

    def t_of(self, log_snr: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Returns the time at which the log-SNR is `log_snr`; ValueError outside the schedule's range."""
        ...


def log_snr(alpha: Float[Tensor, "*b"], sigma: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Returns `log(alpha^2 / sigma^2)`; +inf at sigma = 0, -inf at alpha = 0."""
    return 2 * (alpha.log() - sigma.log())


def variance_preserving(log_snr: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """Returns the variance-preserving `alpha, sigma` (alpha^2 + sigma^2 = 1) of a log-SNR."""
    return torch.sigmoid(log_snr).sqrt(), torch.sigmoid(-log_snr).sqrt()


def level_of(schedule: Schedule, bandwidth: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """Returns the schedule's `alpha, sigma` where `sigma / alpha` is the bandwidth; its nearest level if beyond."""
    cleanest, noisiest = (log_snr(*schedule(torch.full_like(bandwidth, t))) for t in (0.0, 1.0))
    return schedule(schedule.t_of((-2 * bandwidth.log()).clamp(noisiest, cleanest)))


def _within(t: Tensor, log_snr: Tensor, schedule: Schedule) -> Tensor:
    """Clips round-off at the ends of [0, 1]; raises ValueError where t lies further outside, NaN on an accelerator."""
    slack = 64 * torch.finfo(t.dtype).eps
    outside = ~((t >= -slack) & (t <= 1 + slack))
    if not on_host(t):
        return t.clamp(0, 1).masked_fill(outside, math.nan)
    if outside.any():
        first = log_snr[outside].flatten()[0].item()
        raise ValueError(
            f"log_snr lies outside the range of {schedule}: got {first:.4g}; "
            "use a schedule that reaches this noise level, or clamp the level first"
        )
    return t.clamp(0, 1)


@dataclass(frozen=True)
class VP:
    """Variance-preserving schedule: `alpha = exp(-B/2)`, `sigma^2 = 1 - exp(-B)`.

    `B(t)` is the integral of the rate `beta` from 0 to t.

    `scaled-linear`: sqrt(beta) is linear in t (Stable Diffusion; Rombach et al. 2022, arXiv 2112.10752).
    `linear`: beta is linear in t (Ho et al. 2020, arXiv 2006.11239; Song et al. 2021, arXiv 2011.13456).
    The betas are rates per unit of t: the discrete betas of a 1000-step model times 1000.

    Attributes:
        beta_min: rate at t = 0, positive.
        beta_max: rate at t = 1, above `beta_min`.
        spacing: quantity that is linear in t: sqrt(beta) for `scaled-linear`, beta for `linear`.
    """

    beta_min: float = 0.85
    beta_max: float = 12.0
    spacing: Literal["scaled-linear", "linear"] = "scaled-linear"

    def __post_init__(self) -> None:
        if not 0 < self.beta_min < self.beta_max:
            raise ValueError(
                f"VP needs 0 < beta_min < beta_max: got beta_min={self.beta_min}, beta_max={self.beta_max}; "
                "try 0.85 and 12"
            )
        if self.spacing not in ("scaled-linear", "linear"):
            raise ValueError(f"VP spacing must be 'scaled-linear' or 'linear', got {self.spacing!r}")

    @classmethod
    def linear(cls, beta_min: float = 0.1, beta_max: float = 20.0) -> VP:
        """Returns DDPM's schedule: beta linear in t."""
        return cls(beta_min, beta_max, "linear")

    def __call__(self, t: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
        if self.spacing == "linear":
            integral = t * (self.beta_min + (self.beta_max - self.beta_min) * t / 2)
        else:
            a, c = self._roots()
            integral = t * (a * a + t * c * (a + t * c / 3))
        return torch.exp(-integral / 2), torch.sqrt(-torch.expm1(-integral))

    def t_of(self, log_snr: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        return _within(self.time_beyond(log_snr), log_snr, self)

    def time_beyond(self, log_snr: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Returns the time >= 0 at which the log-SNR is `log_snr`, also beyond 1, where the rate goes on growing."""
        integral = torch.nn.functional.softplus(-log_snr, threshold=100)
        if self.spacing == "linear":
            slope = self.beta_max - self.beta_min
            return 2 * integral / (self.beta_min + torch.sqrt(self.beta_min**2 + 2 * slope * integral))
        a, c = self._roots()
        # cbrt(a^3 + y) - a, written without cancellation
        y = 3 * c * integral
        root = (a**3 + y) ** (1 / 3)
        return y / (root * root + root * a + a * a) / c

    def _roots(self) -> tuple[float, float]:
        a = math.sqrt(self.beta_min)
        return a, math.sqrt(self.beta_max) - a


@dataclass(frozen=True)
class Cosine:
    """Cosine schedule: `log_snr = -2 log tan(pi t / 2) + shift`, variance preserving; alpha = 0 exactly at t = 1.

    Nichol and Dhariwal 2021 (arXiv 2102.09672) without their offset; `shift` as in Hoogeboom et al. 2023
    (arXiv 2301.11093): `2 log(64 / resolution)` keeps large images noisy long enough.
    """

    shift: float = 0.0

    def __call__(self, t: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
        alpha = torch.sin((1 - t) * (math.pi / 2)) * math.exp(self.shift / 2)
        sigma = torch.sin(t * (math.pi / 2))
        norm = torch.hypot(alpha, sigma)
        return alpha / norm, sigma / norm

    def t_of(self, log_snr: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        return _within(torch.atan(torch.exp((self.shift - log_snr) / 2)) * (2 / math.pi), log_snr, self)


@dataclass(frozen=True)
class VE:
    """Variance-exploding schedule: alpha = 1, `sigma = (a + t (b - a))^rho`.

    a and b are the rho-th roots of `sigma_min` and `sigma_max`. Uniform times are the noise levels of Karras
    et al. 2022 (arXiv 2206.00364).

    Attributes:
        sigma_min: noise at t = 0, in units of z, positive.
        sigma_max: noise at t = 1, above `sigma_min`.
        rho: exponent of the spacing, > 0; larger values spend more steps at small noise.
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0

    def __post_init__(self) -> None:
        if not (0 < self.sigma_min < self.sigma_max and self.rho > 0):
            raise ValueError(f"VE needs 0 < sigma_min < sigma_max and rho > 0: got {self}; try VE(0.002, 80)")

    def __call__(self, t: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
        a, b = self._roots()
        return torch.ones_like(t), (a + t * (b - a)) ** self.rho

    def t_of(self, log_snr: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        a, b = self._roots()
        return _within((torch.exp(-log_snr / (2 * self.rho)) - a) / (b - a), log_snr, self)

    def _roots(self) -> tuple[float, float]:
        return self.sigma_min ** (1 / self.rho), self.sigma_max ** (1 / self.rho)


@dataclass(frozen=True)
class Flow:
    """Rectified-flow schedule: `sigma = s t / (1 + (s - 1) t)`, `alpha = 1 - sigma`; s = 1 is the straight line.

    Liu et al. 2022 (arXiv 2209.03003), Lipman et al. 2022 (arXiv 2210.02747); the resolution shift s is that of
    Esser et al. 2024 (arXiv 2403.03206).
    """

    shift: float = 1.0

    def __post_init__(self) -> None:
        if self.shift <= 0:
            raise ValueError(f"Flow needs shift > 0: got {self.shift}; 1 is the straight line")

    def __call__(self, t: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
        denominator = 1 + (self.shift - 1) * t
        return (1 - t) / denominator, self.shift * t / denominator

    def t_of(self, log_snr: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        # sigma / alpha = s t / (1 - t), so t = r / (r + s) with r = exp(-log_snr / 2)
        return _within(torch.sigmoid(-log_snr / 2 - math.log(self.shift)), log_snr, self)


@dataclass(frozen=True)
class Discrete:
    """Schedule of a network trained on N discrete steps, interpolated linearly in log-SNR (as k-diffusion does).

    t = index / (N - 1). Where the last level has no signal (zero terminal SNR), the last interval is linear in
    alpha / sigma instead, which is finite. Variance preserving.

    Attributes:
        levels: log-SNR of each training step, strictly decreasing, finite but for a last -inf.
    """

    levels: tuple[float, ...]
    _tables: dict[tuple[torch.dtype, torch.device], Tensor] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        falling = all(a > b for a, b in zip(self.levels, self.levels[1:], strict=False))
        if len(self.levels) < 2 or not falling or not all(map(math.isfinite, self.levels[:-1])):
            raise ValueError(
                f"Discrete needs at least two strictly decreasing log-SNR levels: got {len(self.levels)} levels "
                f"starting {self.levels[:3]}; sort them from clean to noisy"
            )

    @classmethod
    def from_alphas_cumprod(cls, alphas_cumprod: Float[Tensor, "n"]) -> Discrete:
        """From `alpha^2` at each training step, as diffusers' schedulers keep it."""
        squares = alphas_cumprod.detach().double()
        return cls(tuple((squares.log() - torch.log1p(-squares)).tolist()))

    def __call__(self, t: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
        table = self._table(t)
        position = t * (len(self.levels) - 1)
        left = position.floor().clamp(0, len(self.levels) - 2).long()
        share = position - left
        start, end = table.take(left), table.take(left + 1)
        level = torch.where(end.isinf(), start + 2 * torch.log1p(-share), torch.lerp(start, end, share))
        return variance_preserving(torch.where((share == 0) | (start == end), start, level))

    def t_of(self, log_snr: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        table = self._table(log_snr)
        left = torch.searchsorted(-table, -log_snr.contiguous(), right=True).sub(1).clamp(0, len(self.levels) - 2)
        start, end = table.take(left), table.take(left + 1)
        share = torch.where(end.isinf(), -torch.expm1((log_snr - start) / 2), (log_snr - start) / (end - start))
        return _within((left + share) / (len(self.levels) - 1), log_snr, self)

    def _table(self, like: Tensor) -> Tensor:
        key = (like.dtype, like.device)
        if key not in self._tables:
            self._tables[key] = torch.tensor(self.levels, dtype=like.dtype, device=like.device)
        return self._tables[key]

    def __repr__(self) -> str:
        return f"Discrete({len(self.levels)} levels, log_snr {self.levels[0]:.4g} to {self.levels[-1]:.4g})"


@dataclass(frozen=True)
class ScaledSchedule:
    """Schedule with its noise multiplied by `factor`: noise in units of a data scale or a kernel width.

    Attributes:
        base: schedule whose sigma is multiplied.
        factor: multiplier of sigma, > 0; a number, or one per row of t.
    """

    base: Schedule
    factor: float | Tensor

    def __call__(self, t: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
        alpha, sigma = self.base(t)
        return alpha, sigma * self.factor

    def t_of(self, log_snr: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        return self.base.t_of(log_snr + 2 * torch.as_tensor(self.factor, device=log_snr.device).to(log_snr).log())


def has_noise(schedule: Schedule, t: Float[Tensor, "*b"]) -> Bool[Tensor, "*b"]:
    """Returns whether sigma > 0 at times t, on the device of t whatever that of a factor of the noise."""
    return (schedule.base if isinstance(schedule, ScaledSchedule) else schedule)(t)[1] > 0
