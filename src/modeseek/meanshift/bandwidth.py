"""How the kernel narrows along a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.priors.base import Prior, select_conditions
from modeseek.pytree import Cond
from modeseek.rng import Rng, randn

_PAIRS = 8  # opposite points a row that measure the prior's scale


@runtime_checkable
class Bandwidth(Protocol):
    """A frozen schedule of kernel widths; all that changes lives in its state."""

    @property
    def end(self) -> float:
        """The last bandwidth."""
        ...

    def init(self, n: int, scale: Float[Tensor, "b"] | None = None) -> Any:
        """The state for n rows; `scale` is the prior's standard deviation, per row, where it was measured."""
        ...

    def next(self, progress: float, relative_shift: Float[Tensor, "b"], state: Any) -> tuple[Float[Tensor, "b"], Any]:
        """Each row's bandwidth and the next state, given the last step's `|shift| / (h sqrt(d))` (inf at first)."""
        ...


@dataclass(frozen=True)
class Fixed:
    """One bandwidth for the whole run."""

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


@dataclass(frozen=True)
class Geometric:
    """`h = start (end / start)^(progress / (1 - hold))`, then `end` for the last `hold` of the run.

    Annealed mean shift (Shen, Brooks and van den Hengel, "Fast global kernel density mode seeking", 2007).
    """

    start: float
    end: float
    hold: float = 0.15

    def __post_init__(self) -> None:
        _positive(start=self.start, end=self.end)
        _share(self.hold)

    def init(self, n: int, scale: Float[Tensor, "b"] | None = None) -> None:
        return None

    def at(self, progress: float) -> float:
        """The bandwidth at this point of the run."""
        return self.start * (self.end / self.start) ** min(1.0, progress / (1 - self.hold))

    def next(self, progress: float, relative_shift: Float[Tensor, "b"], state: None) -> tuple[Tensor, None]:
        return torch.full_like(relative_shift, self.at(progress)), None


@dataclass(frozen=True)
class Adaptive:
    """Narrows each row's kernel once its shift has settled, and in time for the end.

    From `start` (default: the prior's own spread, which MSD measures), h is multiplied by `shrink`
    whenever the row's relative shift is below `settle`, down to `end`. No row lags behind the geometric schedule that
    reaches `end` with `hold` of the run to spare, so a generator that cannot follow its shift still ends.

    For few dimensions: pictures use so few of theirs that any shift is small beside `h sqrt(d)`, and rows narrow at
    once; `Geometric` suits them.

    Attributes:
        end: last bandwidth, units of z.
        start: first bandwidth; None measures it.
        shrink: factor of one narrowing, in (0, 1).
        settle: relative shift below which a row has settled. Small values wait for the mode at each bandwidth
            (few, global modes), large ones keep starts apart (many, local modes).
        hold: share of the run kept for the last bandwidth.
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
            raise ValueError(f"Adaptive shrink lies in (0, 1): got {self.shrink}; 0.8 narrows by a fifth")
        _share(self.hold)

    def init(self, n: int, scale: Float[Tensor, "b"] | None = None) -> tuple[Tensor, Tensor]:
        """State: each row's first and current bandwidth. Without start or scale, two decades above `end`."""
        if self.start is not None or scale is None:
            scale = torch.full((n,), 100 * self.end if self.start is None else self.start, dtype=torch.float64)
        first = scale.clamp(min=self.end)
        return first, first

    def next(
        self, progress: float, relative_shift: Float[Tensor, "b"], state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        first, h = (x.to(relative_shift) for x in state)
        h = torch.where(relative_shift < self.settle, self.shrink * h, h)
        latest = first * (self.end / first) ** min(1.0, progress / (1 - self.hold))
        h = torch.minimum(h, latest).clamp(min=self.end)
        return h, (first, h)


def prior_scale(prior: Prior, z: Float[Tensor, "b *d"], rng: Rng, cond: Cond = None) -> Float[Tensor, "b"]:
    """The prior's spread under each row's condition, from its denoiser at its noisiest level.

    At noise H far above the data, `D(x; H) = mean + s^2 / (s^2 + H^2) (x - mean)`, exactly for isotropic Gaussians;
    how far apart the answers to opposite points are gives s. Of covariance C in d dimensions it is about
    `(tr(C^2) / d)^(1/4)`: the standard deviation, a little more where few directions hold the variance. Guidance can
    turn answers against their points, so only lengths are compared. Eight pairs, so 16 prior calls a row.
    """
    n = len(z)
    rows = torch.arange(n, device=z.device).repeat_interleave(_PAIRS)
    alpha, sigma = prior.schedule(z.new_ones(2 * n * _PAIRS))
    if (alpha == 0).any():
        alpha, sigma = prior.schedule(z.new_full((2 * n * _PAIRS,), 0.99))
    noise = randn((n * _PAIRS, *z.shape[1:]), rng, z)
    both = torch.cat([noise, -noise])
    answer = prior.at(expand_like(sigma, both) * both, alpha, sigma, select_conditions(cond, torch.cat([rows, rows]))).z
    apart = ((answer[: len(noise)] - answer[len(noise) :]) / 2).reshape(n, -1).norm(dim=1)
    h = (sigma / alpha)[:n]
    slope = (apart / (h * noise.reshape(n, -1).norm(dim=1))).clamp(1e-12, 1 - 1e-6)
    return h * (slope / (1 - slope)).sqrt()


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be positive and finite: got {value}; bandwidths are in units of z")


def _share(hold: float) -> None:
    if not 0 <= hold < 1:
        raise ValueError(f"hold is a share of the run in [0, 1): got {hold}; 0.15 keeps the last 15 %")
