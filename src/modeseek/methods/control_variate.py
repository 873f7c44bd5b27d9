"""Control variates: what has no mean and moves with a method's noise, taken off it in the share that helps most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.methods.base import Direction, Grouped, Method, RenderContext
from modeseek.priors.base import Conditions, Prior
from modeseek.rng import Rng


@runtime_checkable
class Variate(Protocol):
    """Something random of mean zero: over the method's noise, at every z and every level."""

    def __call__(
        self, z: Float[Tensor, "b *d"], direction: Direction, context: RenderContext | None
    ) -> Float[Tensor, "b *d"]:
        """Its value for the very noise (`direction.eps`, `direction.prediction`) that made the direction."""
        ...


@dataclass(frozen=True)
class VariateState:
    """What was learned so far, of each row of the batch.

    Attributes:
        inner: the wrapped method's state.
        visits: steps that each row spent in each bin of levels, (b, bins).
        mean: running mean of the direction, (b, bins, *d).
        rest: running mean of the variate, likewise, about 0.
        cross: running covariance of the two, summed over elements (b, bins), or per element (b, bins, *d).
        square: running variance of the variate, likewise.
        seen: steps taken.
        before: running mean of `|direction|^2` without the variate, (b,).
        after: the same with it, as it was applied, (b,).
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
    """A method with a control variate: `grad + mu v`, where E[v] = 0, so that the mean stays what it was.

    The second moment is least at `mu = -E[<grad, v>] / E[|v|^2]`, where the variance has fallen by
    `E[<grad, v>]^2 / E[|v|^2]` (per element likewise, with products in place of inner ones). Both are learned
    along the run, for each row by itself, from past steps alone: a coefficient that had seen the current noise would
    bias the direction. They are learned about the running means of grad and v (least squares with an intercept): the
    expectation is the same, but where the direction is long and its noise short, mu settles much sooner. Costs what the
    method costs, and what the variate spends.

    Logs `mu` (its mean over elements), and two measures by what was applied, not by what would have been best:
    `variance_removed`, the running mean of `|grad|^2 - |grad + mu v|^2`, whose expectation is the fall of the
    variance, summed over elements; and `share_removed`, the same over the running mean of `|grad|^2`.

    Attributes:
        method: any whose noise the variate knows.
        variate: v.
        initial: mu until there is something to go by.
        per: one coefficient a sample, or one for each of its elements (lower variance in the end, learned slower).
        bins: levels [0, 1] of t are divided into this many, each with coefficients of its own.
        warm: visits of a bin before its coefficient is trusted, at least 2.
        memory: steps over which the running means reach back, at least 2; infinite never forgets.
    """

    method: Method
    variate: Variate
    initial: float = 0.0
    per: Literal["sample", "element"] = "sample"
    bins: int = 1
    warm: int = 10
    memory: float = 1000.0

    def __post_init__(self) -> None:
        if self.per not in ("sample", "element"):
            raise ValueError(f"a coefficient is per 'sample' or 'element': got {self.per!r}; choose one")
        if self.bins < 1 or self.warm < 2 or not self.memory >= 2:
            raise ValueError(
                f"ControlVariate needs bins >= 1, warm and memory >= 2: got {self.bins}, {self.warm}, {self.memory}"
            )

    @property
    def block(self) -> int | None:
        """What the method asks for."""
        return self.method.block if isinstance(self.method, Grouped) else 1

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> VariateState:
        """Nothing learned, beside the method's own state."""
        exact = torch.promote_types(z.dtype, torch.float32)
        rows = torch.zeros(len(z), dtype=exact, device=z.device)
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
        """The method's direction with the variate, and what was learned from it.

        Raises:
            ValueError: another batch than the state's, or bins of a method that has no times.
        """
        if len(z) != len(state.visits):
            raise ValueError(f"coefficients belong to {len(state.visits)} rows: got {len(z)}; keep the batch, or init")
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
            raise ValueError(f"bins are of times: got {type(self.method).__name__}, which visits none; use bins=1")
        return (direction.t * self.bins).long().clamp(0, self.bins - 1)


def _optimal_coefficient(cross: Tensor, square: Tensor) -> Tensor:
    """`-cross / square`; 0 where the variate is."""
    return -cross / square.where(square > 0, torch.ones_like(square))
