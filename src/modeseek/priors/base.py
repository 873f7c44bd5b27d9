"""Protocols of priors, densities seen through noise, and the conditions they are evaluated under."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.schedule import Schedule
from modeseek.pytree import Cond, select
from modeseek.rng import Rng, randn

Rows = Float[Tensor, "b *d"]
"""Points, one per row."""
PerRow = Float[Tensor, "b"]
"""One number per row, such as a signal scale."""


@runtime_checkable
class Prior(Protocol):
    """Prior: a density p(z), given by its denoiser at every noise level."""

    @property
    def schedule(self) -> Schedule:
        """Native noise schedule."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one item, without the batch axis."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of its draws; predictions have the dtype of z_t."""
        ...

    @property
    def device(self) -> torch.device:
        """Device of its parameters and draws."""
        ...

    @property
    def n_classes(self) -> int:
        """Number of classes; conditions are then labels in [0, n_classes), -1 for none. 0: it has no classes."""
        ...

    @property
    def takes_text(self) -> bool:
        """Whether it is conditioned on text; `require_text` returns what encodes it."""
        ...

    def at(self, z_t: Rows, alpha: PerRow, sigma: PerRow, cond: Cond = None) -> Prediction:
        """Returns the prediction at any noise level and scaling; only the log-SNR matters. One prior call per row."""
        ...

    def __call__(self, z_t: Float[Tensor, "b *d"], t: Float[Tensor, "b"], cond: Cond = None) -> Prediction:
        """Returns the prediction at time t of the native schedule."""
        ...

    def grid(self, n: int) -> Float[Tensor, "m"]:
        """Returns n + 1 descending times from 1 to 0, both ends included."""
        ...

    def start(self, n: int, rng: Rng) -> Float[Tensor, "n *d"]:
        """Draws n points z_t at times[0]."""
        ...


@runtime_checkable
class TextPrior(Protocol):
    """Prior that is conditioned on text, such as `Pipeline`."""

    def conditions(self, texts: Sequence[str], negative: Sequence[str] | None = None) -> Conditions:
        """Returns the conditions of texts, (len(texts), ...), with the empty text as null."""
        ...


@runtime_checkable
class PhrasePlacing(Protocol):
    """Text prior whose text encoders read texts of limited length, and that places phrases where they are read."""

    def place_phrases(self, prompt: str, phrases: Sequence[str], before: bool = False) -> list[str]:
        """Returns the prompt with each phrase, before or after it, where the text encoders read the phrase."""
        ...


class BasePrior:
    """Base class of priors: adds `__call__`, `grid` and `start` to `at`, `schedule`, `shape`, `dtype` and `device`.

    It has no classes and takes no text, unless a subclass overrides `n_classes` or `takes_text`.
    """

    @property
    def n_classes(self) -> int:
        return 0

    @property
    def takes_text(self) -> bool:
        return False

    def unknown_words(self, texts: Sequence[str]) -> tuple[str, ...] | None:
        """Returns the words of texts that the prior does not know, each once; None, as here, if they are unknown."""
        return None

    def __call__(self: Prior, z_t: Float[Tensor, "b *d"], t: Float[Tensor, "b"], cond: Cond = None) -> Prediction:
        """Returns the prediction at time t of the native schedule."""
        return self.at(z_t, *self.schedule(t), cond)

    def grid(self: Prior, n: int) -> Float[Tensor, "m"]:
        """Returns n + 1 descending times from 1 to 0, both ends included, uniform in the time of the schedule."""
        if n < 1:
            raise ValueError(f"a grid needs at least one step: got n={n}; pass n >= 1")
        return torch.linspace(1, 0, n + 1, dtype=self.dtype, device=self.device)

    def start(self: Prior, n: int, rng: Rng) -> Float[Tensor, "n *d"]:
        """Draws z_t at times[0]: Gaussian noise of scale sigma, (n, *shape); exact where alpha is 0 there."""
        t = torch.ones(n, dtype=self.dtype, device=self.device)
        z_t = randn((n, *self.shape), rng, t)
        return expand_like(self.schedule(t)[1], z_t) * z_t


@runtime_checkable
class DensityPrior(Protocol):
    """Prior with a density at every noise level and exact samples."""

    def evaluate(
        self, z_t: Rows, alpha: PerRow, sigma: PerRow, cond: Cond = None
    ) -> tuple[Prediction, Float[Tensor, "b"]]:
        """Returns the prediction and `log p(z_t)` at that level, for one prior call per row."""
        ...

    def sample(self, n: int, rng: Rng, cond: Cond = None) -> Float[Tensor, "n *d"]:
        """Draws n independent samples of p(z)."""
        ...


@dataclass(frozen=True)
class Conditions:
    """Conditions of guided priors and of methods that evaluate several branches, one row per item.

    Attributes:
        positive: condition to optimise towards.
        null: empty condition, the baseline of guidance.
        negative: negative condition; where given it replaces `null` as the baseline.
        opposed: Perp-Neg's pairs of negative condition and weight <= 0, (b,).
        source: condition of the source image of an edit or a bridge (DDS, PDS, SDS-Bridge).
    """

    positive: Cond
    null: Cond | None = None
    negative: Cond | None = None
    opposed: tuple[tuple[Cond, Float[Tensor, "b"]], ...] | None = None
    source: Cond | None = None

    @property
    def baseline(self) -> Cond:
        """Baseline of guidance: `negative` where given, else `null`.

        Raises:
            ValueError: neither is given.
        """
        baseline = self.null if self.negative is None else self.negative
        if baseline is None:
            raise ValueError("guidance needs a baseline: got Conditions without null or negative; pass null=...")
        return baseline

    def map(self, function: Callable[[Cond], Cond], weight: Callable[[Tensor], Tensor] | None = None) -> Conditions:
        """Returns the conditions with a function applied to each condition that is given, and one to the weights."""
        positive, null, negative, source = (
            None if part is None else function(part) for part in (self.positive, self.null, self.negative, self.source)
        )
        opposed = self.opposed and tuple((function(c), w if weight is None else weight(w)) for c, w in self.opposed)
        return Conditions(positive, null, negative, opposed, source)


def positive_condition(cond: Cond) -> Cond:
    """Returns the condition of a bare prior: the positive of a `Conditions`, any other condition unchanged."""
    return cond.positive if isinstance(cond, Conditions) else cond


def select_conditions(cond: Cond, rows: Int[Tensor, "r"]) -> Cond:
    """Returns the given rows of a condition or of every part of a `Conditions`; leading axes of 1 are unchanged."""
    if isinstance(cond, Conditions):
        return cond.map(lambda part: select(part, rows), lambda weight: select(weight, rows))
    return select(cond, rows)
