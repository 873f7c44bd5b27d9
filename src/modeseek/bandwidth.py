"""How the kernel narrows along a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.prediction import expand_like
from modeseek.prior import Prior, take
from modeseek.rng import Rng, randn
from modeseek.tree import Cond


@runtime_checkable
class Bandwidth(Protocol):
    """A frozen schedule of kernel widths; all that changes lives in its state."""

    @property
    def end(self) -> float:
        """The last bandwidth."""
        ...

    def init(self, n: int, scale: float | None = None) -> Any:
        """The state for n rows; `scale` is the prior's standard deviation where it was measured."""
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

    def init(self, n: int, scale: float | None = None) -> None:
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

    def init(self, n: int, scale: float | None = None) -> None:
        return None

    def at(self, progress: float) -> float:
        """The bandwidth at this point of the run."""
        return self.start * (self.end / self.start) ** min(1.0, progress / (1 - self.hold))

    def next(self, progress: float, relative_shift: Float[Tensor, "b"], state: None) -> tuple[Tensor, None]:
        return torch.full_like(relative_shift, self.at(progress)), None


@dataclass(frozen=True)
class Adaptive:
    """Narrows each row's kernel once its shift has settled, and in time for the end.

    From `start` (default: the prior's own standard deviation, which MSD measures), h is multiplied by `shrink`
    whenever the row's relative shift is below `settle`, down to `end`. No row lags behind the geometric schedule that
    reaches `end` with `hold` of the run to spare, so a generator that cannot follow its shift still ends.

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

    def init(self, n: int, scale: float | None = None) -> tuple[float, Tensor | None]:
        """State: the first bandwidth and each row's current one. Without start or scale, two decades above `end`."""
        first = self.start if self.start is not None else scale if scale is not None else 100 * self.end
        return max(first, self.end), None

    def next(
        self, progress: float, relative_shift: Float[Tensor, "b"], state: tuple[float, Tensor | None]
    ) -> tuple[Tensor, tuple[float, Tensor | None]]:
        first, h = state
        if h is None:
            h = torch.full_like(relative_shift, first)
        h = torch.where(relative_shift < self.settle, self.shrink * h, h)
        h = h.clamp(min=self.end, max=Geometric(first, self.end, self.hold).at(progress))
        return h, (first, h)


def prior_scale(prior: Prior, z: Float[Tensor, "b *d"], rng: Rng, cond: Cond = None) -> float:
    """The prior's standard deviation, from its denoiser at its noisiest level: 16 prior calls.

    At noise H far above the data, `D(x; H) = mean + s^2 / (s^2 + H^2) (x - mean)`, exactly for isotropic Gaussians;
    the slope between opposite points gives s. cond is that of the rows of z.
    """
    one = z.new_ones(16)
    alpha, sigma = prior.schedule(one)
    if (alpha == 0).any():
        alpha, sigma = prior.schedule(0.99 * one)
    noise = randn((8, *z.shape[1:]), rng, z)
    rows = torch.arange(16, device=z.device) % 8 % len(z)
    both = torch.cat([noise, -noise])
    p = prior.at(expand_like(sigma, both) * both, alpha, sigma, take(cond, rows))
    answer = (p.z[:8] - p.z[8:]) / 2
    h = (sigma / alpha)[0].item()
    slope = ((answer * noise).sum() / (h * noise.square().sum())).item()
    slope = min(max(slope, 1e-12), 1 - 1e-6)
    return h * (slope / (1 - slope)) ** 0.5


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be positive and finite: got {value}; bandwidths are in units of z")


def _share(hold: float) -> None:
    if not 0 <= hold < 1:
        raise ValueError(f"hold is a share of the run in [0, 1): got {hold}; 0.15 keeps the last 15 %")
