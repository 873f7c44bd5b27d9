"""Bandwidth schedules of mean shift (fixed, geometric, adaptive, along a prior's times) and the scale of a prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Annealed, Times
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.schedule import Schedule
from modeseek.priors.base import Prior, select_conditions
from modeseek.pytree import Cond
from modeseek.rng import Rng, randn

_PAIRS = 8  # antithetic pairs per row for `prior_scale`


@runtime_checkable
class Bandwidth(Protocol):
    """Protocol of bandwidth schedules: immutable, with all mutable data in an explicit state."""

    @property
    def end(self) -> float:
        """Final bandwidth, in units of z."""
        ...

    def init(self, n: int, scale: Float[Tensor, "b"] | None = None) -> Any:
        """Returns the state for n rows; `scale` is the prior's standard deviation per row, if measured."""
        ...

    def next(self, progress: float, relative_shift: Float[Tensor, "b"], state: Any) -> tuple[Float[Tensor, "b"], Any]:
        """Returns each row's bandwidth and the next state, given the last `|shift| / (h sqrt(d))` (inf at first)."""
        ...


@runtime_checkable
class ScheduledBandwidth(Protocol):
    """Protocol of bandwidths that follow the noise schedule of a prior, beside `Bandwidth`."""

    def on(self, schedule: Schedule, rng: Rng) -> Bandwidth:
        """Returns the bandwidth on a noise schedule, for one step; rng is for what is drawn."""
        ...

    def ended(self, progress: float, h: Float[Tensor, "b"]) -> Bool[Tensor, "b"]:
        """Returns True for the rows that have reached their last bandwidth."""
        ...


@dataclass(frozen=True)
class Fixed:
    """Constant bandwidth h > 0, in units of z."""

    h: float

    def __post_init__(self) -> None:
        _positive(h=self.h)

    @property
    def end(self) -> float:
        return self.h

    def init(self, n: int, scale: Float[Tensor, "b"] | None = None) -> None:
        return None

    def next(self, progress: float, relative_shift: Float[Tensor, "b"], state: None) -> tuple[Tensor, None]:
        return torch.full_like(relative_shift, self.h), None


def as_bandwidth(bandwidth: object) -> Bandwidth:
    """Returns the bandwidth schedule that a number stands for, `Fixed`; a schedule is itself.

    Raises:
        TypeError: neither a number nor a schedule.
        ValueError: a number that is not positive and finite.
    """
    if isinstance(bandwidth, int | float) and not isinstance(bandwidth, bool):
        return Fixed(float(bandwidth))
    if isinstance(bandwidth, type) or not isinstance(bandwidth, Bandwidth):
        raise TypeError(f"a bandwidth must be a number or an object such as Geometric(8, 0.2), got {bandwidth!r:.60}")
    return bandwidth


@dataclass(frozen=True)
class Geometric:
    """Geometric schedule `h = start (end / start)^(progress / (1 - hold))`, then `end` for the last `hold` of the run.

    Annealed mean shift (Shen, Brooks and van den Hengel, "Fast global kernel density mode seeking", 2007).

    Attributes:
        start: initial bandwidth, > 0, in units of z.
        end: final bandwidth, > 0, in units of z.
        hold: fraction of the run at the final bandwidth, in [0, 1).
    """

    start: float
    end: float
    hold: float = 0.15

    def __post_init__(self) -> None:
        _positive(start=self.start, end=self.end)
        _fraction(self.hold)

    def init(self, n: int, scale: Float[Tensor, "b"] | None = None) -> None:
        return None

    def at(self, progress: float) -> float:
        """Returns the bandwidth at a progress in [0, 1]."""
        return self.start * (self.end / self.start) ** min(1.0, progress / (1 - self.hold))

    def next(self, progress: float, relative_shift: Float[Tensor, "b"], state: None) -> tuple[Tensor, None]:
        return torch.full_like(relative_shift, self.at(progress)), None


@dataclass(frozen=True)
class Adaptive:
    """Adaptive schedule that narrows each row's kernel once its shift has settled, with a geometric upper bound.

    From `start` (default: the prior's scale, which MSD measures), h is multiplied by `shrink` whenever the relative
    shift of the row is below `settle`, down to `end`. The geometric schedule that reaches `end` for the last `hold` of
    the run is an upper bound, so rows whose generator cannot follow its shift reach `end` too.

    For low dimensions: images have so few effective dimensions that every shift is small relative to `h sqrt(d)` and
    rows narrow immediately; use `Geometric` for them.

    Attributes:
        end: final bandwidth, > 0, in units of z.
        start: initial bandwidth, > 0, in units of z; None measures the prior's scale.
        shrink: factor by which h is reduced at once, in (0, 1).
        settle: relative shift below which a row has settled, > 0. Small values converge to the mode at each bandwidth
            (few, global modes), large values keep starts separate (many, local modes).
        hold: fraction of the run at the final bandwidth, in [0, 1).
    """

    end: float
    start: float | None = None
    shrink: float = 0.8
    settle: float = 0.2
    hold: float = 0.15

    def __post_init__(self) -> None:
        _positive(end=self.end, settle=self.settle)
        if self.start is not None:
            _positive(start=self.start)
        if not 0 < self.shrink < 1:
            raise ValueError(f"Adaptive shrink must be in (0, 1), got {self.shrink}; try 0.8")
        _fraction(self.hold)

    def init(self, n: int, scale: Float[Tensor, "b"] | None = None) -> tuple[Tensor, Tensor]:
        """Returns the initial and current bandwidth per row; 100 times `end` without `start` and `scale`."""
        if self.start is not None or scale is None:
            scale = torch.full((n,), 100 * self.end if self.start is None else self.start, dtype=torch.float64)
        first = scale.clamp(min=self.end)
        return first, first

    def next(
        self, progress: float, relative_shift: Float[Tensor, "b"], state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        first, h = (x.to(relative_shift) for x in state)
        h = torch.where(relative_shift < self.settle, self.shrink * h, h)
        bound = first * (self.end / first) ** min(1.0, progress / (1 - self.hold))
        h = torch.minimum(h, bound).clamp(min=self.end)
        return h, (first, h)


@dataclass(frozen=True)
class Along:
    """Bandwidth at the prior's own noise levels: `h = max(end, sigma / alpha)` at `t = times(progress / (1 - hold))`.

    The path that score distillation and samplers walk, on every schedule: it spends no step where the prior is not
    trained, and as many at each level as they do. `MSD(Along(times), weight=..., jitter=1)` is SDS with these times.

    Attributes:
        times: times on the prior's schedule, one per row; random times (`Uniform`) draw before the method does.
        end: least bandwidth, >= 0, in units of z; 0 is the path's own last level.
        hold: fraction of the run at the end of the path, in [0, 1).
    """

    times: Times = Annealed(0.98, 0.02)
    end: float = 0.0
    hold: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.end < float("inf"):
            raise ValueError(f"Along end must be at least 0 and finite, got {self.end}; 0 is the path's own last level")
        _fraction(self.hold)

    def init(self, n: int, scale: Float[Tensor, "b"] | None = None) -> None:
        return None

    def next(self, progress: float, relative_shift: Float[Tensor, "b"], state: None) -> tuple[Tensor, None]:
        """Raises ValueError: the levels are those of a schedule."""
        raise ValueError("Along needs the schedule of a prior, got none; try Along(...).on(prior.schedule, rng)")

    def on(self, schedule: Schedule, rng: Rng) -> Bandwidth:
        return _AlongSchedule(self, schedule, rng)

    def ended(self, progress: float, h: Float[Tensor, "b"]) -> Bool[Tensor, "b"]:
        return (h <= self.end * (1 + 1e-6)) | (progress >= 1 - self.hold)


@dataclass(frozen=True)
class _AlongSchedule:
    """`Along` on a noise schedule."""

    path: Along
    schedule: Schedule
    rng: Rng

    @property
    def end(self) -> float:
        return self.path.end

    def init(self, n: int, scale: Float[Tensor, "b"] | None = None) -> None:
        return None

    def next(self, progress: float, relative_shift: Float[Tensor, "b"], state: None) -> tuple[Tensor, None]:
        walked = min(1.0, progress / (1 - self.path.hold))
        t = self.path.times(walked, len(relative_shift), self.rng).to(relative_shift)
        alpha, sigma = self.schedule(t)
        h = (sigma / alpha).clamp(min=self.end)
        outside = ~((h > 0) & h.isfinite())
        if outside.any():
            raise ValueError(
                f"Along times must have a positive finite sigma / alpha, got t = {t[outside][0].item():g} of "
                f"{self.schedule}; try times in 0.02 to 0.98"
            )
        return h, None


def prior_scale(prior: Prior, z: Float[Tensor, "b *d"], rng: Rng, cond: Cond = None) -> Float[Tensor, "b"]:
    """Returns the standard deviation of the prior under each row's condition, from its noisiest denoiser.

    At noise H far above the data scale, `D(x; H) = mean + s^2 / (s^2 + H^2) (x - mean)`, exactly for isotropic
    Gaussians, so the distance of the predictions at antithetic points gives s. For covariance C in d dimensions it is
    about `(tr(C^2) / d)^(1/4)`: the standard deviation, slightly more if few directions hold the variance. Guidance can
    reverse the sign of the slope, so only norms are compared. Eight pairs, that is 16 prior calls per row.
    """
    n = len(z)
    rows = torch.arange(n, device=z.device).repeat_interleave(_PAIRS)
    alpha, sigma = prior.schedule(z.new_ones(2 * n * _PAIRS))
    if (alpha == 0).any():
        alpha, sigma = prior.schedule(z.new_full((2 * n * _PAIRS,), 0.99))
    noise = randn((n * _PAIRS, *z.shape[1:]), rng, z)
    pairs = torch.cat([noise, -noise])
    prediction = prior.at(
        expand_like(sigma, pairs) * pairs, alpha, sigma, select_conditions(cond, torch.cat([rows, rows]))
    ).z
    gap = ((prediction[: len(noise)] - prediction[len(noise) :]) / 2).reshape(n, -1).norm(dim=1)
    h = (sigma / alpha)[:n]
    slope = (gap / (h * noise.reshape(n, -1).norm(dim=1))).clamp(1e-12, 1 - 1e-6)
    return h * (slope / (1 - slope)).sqrt()


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be positive and finite, got {value}; bandwidths are in units of z")


def _fraction(hold: float) -> None:
    if not 0 <= hold < 1:
        raise ValueError(f"hold must be a fraction of the run in [0, 1), got {hold}; 0.15 holds the last 15 %")
