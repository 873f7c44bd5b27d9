"""Control variates for any method, with coefficients learned along the run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.methods.base import Direction, Method, RenderContext, block_size, has_target
from modeseek.priors.base import Conditions, Prior
from modeseek.rng import Rng


@runtime_checkable
class Variate(Protocol):
    """Control variate: a random direction with mean zero over the method's noise, at every z and noise level."""

    def __call__(
        self, z: Float[Tensor, "b *d"], direction: Direction, context: RenderContext | None
    ) -> Float[Tensor, "b *d"]:
        """Returns the variate for the noise of the direction (`direction.eps`, `direction.prediction`), (b, *d)."""
        ...


@dataclass(frozen=True)
class VariateState:
    """State of a control variate: running moments of each row of the batch.

    Attributes:
        inner: state of the wrapped method.
        visits: number of steps of each row in each bin of t, (b, bins).
        mean: running mean of the direction, (b, bins, *d).
        rest: running mean of the variate, about 0, (b, bins, *d).
        cross: running covariance of the two, summed over elements (b, bins), or per element (b, bins, *d).
        square: running variance of the variate, of the shape of `cross`.
        seen: number of steps taken.
        before: running mean of `|direction|^2` without the variate, (b,).
        after: running mean of `|direction|^2` with the variate as applied, (b,).
    """

    inner: Any
    visits: Tensor
    mean: Tensor
    rest: Tensor
    cross: Tensor
    square: Tensor
    seen: int
    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class ControlVariate:
    """A method with a control variate: `grad + mu v` with E[v] = 0, so that the mean is unchanged.

    The second moment is smallest at `mu = -E[<grad, v>] / E[|v|^2]`, where the variance is reduced by
    `E[<grad, v>]^2 / E[|v|^2]` (per element likewise, with products in place of inner products). Both moments are
    estimated along the run, for each row separately, from past steps only: a coefficient that depends on the current
    noise would bias the direction. They are centred at the running means of grad and v (least squares with an
    intercept): the expectation is the same, but mu converges much faster if the mean direction is large relative to
    its noise. Costs as the wrapped method, plus the variate's own evaluation.

    Logs `mu` (mean over elements) and two measures of the applied coefficient: `variance_removed`, the running mean
    of `|grad|^2 - |grad + mu v|^2`, whose expectation is the variance reduction summed over elements; and
    `share_removed`, the same divided by the running mean of `|grad|^2`.

    Attributes:
        method: wrapped method; it must return the quantities that the variate reads.
        variate: control variate v.
        initial: mu before `warm` visits of a bin.
        per: one coefficient per sample, or per element (lower final variance, slower to learn).
        bins: number of equal bins of t in [0, 1] with separate coefficients, >= 1.
        warm: visits of a bin before its learned coefficient is used, >= 2.
        memory: time constant of the running means in steps, >= 2; infinite weights all steps equally.
    """

    references: ClassVar[tuple[str, ...]] = ("stein",)
    guides: ClassVar[bool] = False
    method: Method
    variate: Variate
    initial: float = 0.0
    per: Literal["sample", "element"] = "sample"
    bins: int = 1
    warm: int = 10
    memory: float = 1000.0

    def __post_init__(self) -> None:
        if self.per not in ("sample", "element"):
            raise ValueError(f"per must be 'sample' or 'element', got {self.per!r}")
        if self.bins < 1 or self.warm < 2 or not self.memory >= 2:
            raise ValueError(
                f"ControlVariate needs bins >= 1, warm and memory >= 2, got {self.bins}, {self.warm}, {self.memory}"
            )

    @property
    def block(self) -> int | None:
        """Block size of the wrapped method, 1 if it has none."""
        return block_size(self.method)

    @property
    def has_target(self) -> bool:
        """True if the directions of the wrapped method have a target in z."""
        return has_target(self.method)

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> VariateState:
        """Returns zero moments and the wrapped method's initial state."""
        dtype = torch.promote_types(z.dtype, torch.float32)
        rows = torch.zeros(len(z), dtype=dtype, device=z.device)
        mean = rows.new_zeros((len(z), self.bins, *z.shape[1:]))
        cross = mean.clone() if self.per == "element" else rows.new_zeros((len(z), self.bins))
        visits = torch.zeros(len(z), self.bins, dtype=torch.long, device=z.device)
        inner = self.method.init(z, prior)
        return VariateState(inner, visits, mean, mean.clone(), cross, cross.clone(), 0, rows, rows.clone())

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
        """Returns the wrapped method's direction with the variate, and the state with updated moments.

        Raises:
            ValueError: the batch size differs from the state's, or bins > 1 with a method that returns no t.
        """
        if len(z) != len(state.visits):
            raise ValueError(
                f"z must have the {len(state.visits)} rows of the state's coefficients, got {len(z)}; try init again"
            )
        direction, inner = self.method.step(
            z, prior, state.inner, conditions=conditions, progress=progress, rng=rng, context=context
        )
        g = direction.grad.to(state.before)
        v = self.variate(z.detach(), direction, context).detach().to(g)
        at = (torch.arange(len(z), device=z.device), self._bin(direction, len(z)))
        visits, mean, rest, cross, square = (
            x[at] for x in (state.visits, state.mean, state.rest, state.cross, state.square)
        )
        mu = torch.where(expand_like(visits >= self.warm, square), _optimal_coefficient(cross, square), self.initial)
        better = g + (expand_like(mu, v) * v if self.per == "sample" else mu * v)
        rate = (1 / (visits + 1.0)).clamp(min=1 / self.memory).to(g)
        r, r_moment = expand_like(rate, g), expand_like(rate, square)
        dg, dv = g - mean, v - rest
        learned = VariateState(
            inner,
            state.visits.index_put(at, visits + 1),
            state.mean.index_put(at, mean + r * dg),
            state.rest.index_put(at, rest + r * dv),
            state.cross.index_put(at, (1 - r_moment) * (cross + r_moment * self._moment(dg * dv))),
            state.square.index_put(at, (1 - r_moment) * (square + r_moment * self._moment(dv * dv))),
            state.seen + 1,
            *self._second_moments(state, g, better),
        )
        removed = learned.before - learned.after
        share = removed / learned.before.where(learned.before > 0, torch.ones_like(removed))
        logs = {"mu": mu.flatten(1).mean(1) if mu.ndim > 1 else mu, "variance_removed": removed, "share_removed": share}
        return replace(direction, grad=better.to(direction.grad), logs=direction.logs | logs), learned

    def _moment(self, product: Tensor) -> Tensor:
        return product.flatten(1).sum(1) if self.per == "sample" else product

    def _second_moments(self, state: VariateState, g: Tensor, better: Tensor) -> tuple[Tensor, Tensor]:
        rate = max(1 / (state.seen + 1), 1 / self.memory)
        before, after = (x.square().flatten(1).sum(1) for x in (g, better))
        return state.before + rate * (before - state.before), state.after + rate * (after - state.after)

    def _bin(self, direction: Direction, n: int) -> Tensor:
        if self.bins == 1:
            return torch.zeros(n, dtype=torch.long, device=direction.grad.device)
        if direction.t is None:
            raise ValueError(f"bins > 1 needs a method that returns t, got {type(self.method).__name__}; try bins=1")
        return (direction.t * self.bins).long().clamp(0, self.bins - 1)


def _optimal_coefficient(cross: Tensor, square: Tensor) -> Tensor:
    """Returns `-cross / square`, 0 where the variate's variance is 0."""
    return -cross / square.where(square > 0, torch.ones_like(square))
