"""Wrappers of priors: their base class, and a counter of prior calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor

from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.schedule import Schedule
from modeseek.priors.base import BasePrior, PerRow, Prior, Rows, TextPrior
from modeseek.pytree import Cond
from modeseek.rng import Rng


class PriorWrapper(BasePrior):
    """Base class of a prior around a prior: forwards all that the inner prior says of itself, `grid` and `start`.

    Attributes:
        prior: wrapped prior.
        guides: whether its predictions are guided.
    """

    prior: Prior
    guides: ClassVar[bool] = False

    @property
    def schedule(self) -> Schedule:
        return self.prior.schedule

    @property
    def shape(self) -> tuple[int, ...]:
        return self.prior.shape

    @property
    def dtype(self) -> torch.dtype:
        return self.prior.dtype

    @property
    def device(self) -> torch.device:
        return self.prior.device

    @property
    def n_classes(self) -> int:
        return self.prior.n_classes

    @property
    def takes_text(self) -> bool:
        return self.prior.takes_text

    def unknown_words(self, texts: Sequence[str]) -> tuple[str, ...] | None:
        inner = unwrap(self.prior)
        return inner.unknown_words(texts) if isinstance(inner, BasePrior) else None

    def grid(self, n: int) -> Tensor:
        return self.prior.grid(n)

    def start(self, n: int, rng: Rng) -> Tensor:
        return self.prior.start(n, rng)


@dataclass
class Counting(PriorWrapper):
    """Prior that counts its calls; put it innermost: `Guided(Counting(prior))` counts two per row.

    Attributes:
        prior: wrapped prior.
        calls: number of rows evaluated so far (one row at one noise level is one prior call).
    """

    prior: Prior
    calls: int = 0

    def at(self, z_t: Rows, alpha: PerRow, sigma: PerRow, cond: Cond = None) -> Prediction:
        self.calls += z_t.shape[0]
        return self.prior.at(z_t, alpha, sigma, cond)


def wrappers(prior: Prior) -> Iterator[PriorWrapper]:
    """Yields the wrappers around the innermost prior, from the outside."""
    while isinstance(prior, PriorWrapper):
        yield prior
        prior = prior.prior


def unwrap(prior: Prior) -> Prior:
    """Returns the innermost prior."""
    for wrapper in wrappers(prior):
        prior = wrapper.prior
    return prior


def require_text(prior: Prior, title: str) -> TextPrior:
    """Returns the innermost prior, which encodes text.

    Raises:
        ValueError: it takes no text; the message names it by its title.
    """
    if not prior.takes_text:
        raise ValueError(f"{title} takes no prompts: got prompts; use a pipeline prior, or set label")
    return cast("TextPrior", cast(object, unwrap(prior)))
