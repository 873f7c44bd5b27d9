"""The prior: a density seen through noise, and the conditions that it is evaluated under."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.schedule import Schedule
from modeseek.pytree import Cond, select
from modeseek.rng import Rng, randn


@runtime_checkable
class Prior(Protocol):
    """A density p(z) known through its denoiser at every noise level."""

    @property
    def schedule(self) -> Schedule:
        """Its native walk from noise to data."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one item, without the batch axis."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of what it draws; inputs of other dtypes are answered in theirs."""
        ...

    @property
    def device(self) -> torch.device:
        """Where its parameters lie."""
        ...

    def at(
        self,
        z_t: Float[Tensor, "b *d"],
        alpha: Float[Tensor, "b"],
        sigma: Float[Tensor, "b"],
        cond: Cond = None,
    ) -> Prediction:
        """The prediction at any noise level and scaling; only the log-SNR matters. One prior call a row."""
        ...

    def __call__(self, z_t: Float[Tensor, "b *d"], t: Float[Tensor, "b"], cond: Cond = None) -> Prediction:
        """`at` on the prior's own schedule."""
        ...

    def grid(self, n: int) -> Float[Tensor, "m"]:
        """n + 1 descending times from 1 to 0, both ends."""
        ...

    def start(self, n: int, rng: Rng) -> Float[Tensor, "n *d"]:
        """z_t at times[0]."""
        ...


class BasePrior:
    """What every prior has once it has `at`, `schedule`, `shape`, `dtype` and `device`: inherit to write a new one."""

    def __call__(self: Prior, z_t: Float[Tensor, "b *d"], t: Float[Tensor, "b"], cond: Cond = None) -> Prediction:
        """`at` on the prior's own schedule."""
        return self.at(z_t, *self.schedule(t), cond)

    def grid(self: Prior, n: int) -> Float[Tensor, "m"]:
        """n + 1 descending times from 1 to 0, both ends, uniform in the schedule's own time."""
        if n < 1:
            raise ValueError(f"a grid needs at least one step: got n={n}; pass n >= 1")
        return torch.linspace(1, 0, n + 1, dtype=self.dtype, device=self.device)

    def start(self: Prior, n: int, rng: Rng) -> Float[Tensor, "n *d"]:
        """z_t at times[0]: plain noise of the right scale, (n, *shape); exact where alpha is 0 there."""
        one = torch.ones(n, dtype=self.dtype, device=self.device)
        z_t = randn((n, *self.shape), rng, one)
        return expand_like(self.schedule(one)[1], z_t) * z_t


@runtime_checkable
class DensityPrior(Protocol):
    """A prior that also knows its density at every noise level and can be sampled without a sampler."""

    def evaluate(
        self,
        z_t: Float[Tensor, "b *d"],
        alpha: Float[Tensor, "b"],
        sigma: Float[Tensor, "b"],
        cond: Cond = None,
    ) -> tuple[Prediction, Float[Tensor, "b"]]:
        """The prediction and `log p(z_t)` at that level, for the price of one."""
        ...

    def sample(self, n: int, rng: Rng, cond: Cond = None) -> Float[Tensor, "n *d"]:
        """n independent samples of p(z)."""
        ...


@dataclass(frozen=True)
class Conditions:
    """What a guided prior or a method with branches is told, per item.

    Attributes:
        positive: the condition sought.
        null: the empty condition, baseline of guidance.
        negative: a condition to move away from; where given it replaces `null` as the baseline.
        opposed: Perp-Neg's pairs of condition and weight.
        source: what describes what an edit starts from, or what a bridge leaves (DDS, PDS, SDS-Bridge).
    """

    positive: Cond
    null: Cond | None = None
    negative: Cond | None = None
    opposed: tuple[tuple[Cond, Float[Tensor, "b"]], ...] | None = None
    source: Cond | None = None

    @property
    def baseline(self) -> Cond:
        """`negative` where given, else `null`.

        Raises:
            ValueError: neither was given.
        """
        baseline = self.null if self.negative is None else self.negative
        if baseline is None:
            raise ValueError("guidance needs a baseline: got Conditions without null or negative; pass null=...")
        return baseline


def positive_condition(cond: Cond) -> Cond:
    """What a bare prior makes of a `Conditions`: its positive."""
    return cond.positive if isinstance(cond, Conditions) else cond


def select_conditions(cond: Cond, rows: Int[Tensor, "r"]) -> Cond:
    """The given rows of a condition or of every part of a `Conditions`; a leading axis of 1 stays as it is."""
    if not isinstance(cond, Conditions):
        return select(cond, rows)
    opposed = cond.opposed
    if opposed is not None:
        opposed = tuple((select(c, rows), select(w, rows)) for c, w in opposed)
    told, null, negative = (select(c, rows) for c in (cond.positive, cond.null, cond.negative))
    return Conditions(told, null, negative, opposed, select(cond.source, rows))
