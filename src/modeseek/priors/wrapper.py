"""Wrappers of priors: their base class, and a counter of prior calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.schedule import Schedule
from modeseek.operators.data_term import InnerProduct
from modeseek.priors.base import BasePrior, DensityPrior, PerRow, Prior, Rows, TextPrior
from modeseek.pytree import Cond
from modeseek.rng import Rng

DensityEvaluation = Callable[[Tensor, Tensor, Tensor, Cond], tuple[Prediction, Tensor]]
"""Function from (z_t, alpha, sigma, cond) to the prediction and an objective per row, at one prior call per row."""


class PriorWrapper(BasePrior):
    """Base class of a prior around a prior: forwards all that the inner prior says of itself, `grid` and `start`.

    Attributes:
        prior: wrapped prior.
        guides: whether its predictions are guided.
        is_denoiser: whether `prediction.z` is a posterior mean, as samplers need it, if the inner prior's is.
    """

    prior: Prior
    guides: ClassVar[bool] = False
    is_denoiser: ClassVar[bool] = True

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

    @property
    def density(self) -> DensityEvaluation | None:
        """Function that evaluates what mean shift climbs, beside the prediction; None, as here, if it is unknown."""
        return None

    def rows(self, rows: Int[Tensor, "r"]) -> Prior:
        """Returns the prior of some rows of a batch; itself, as here, where it holds no rows of its own."""
        return self  # pyright: ignore[reportReturnType] - every wrapper has `at`

    def metric(self, bandwidth: Float[Tensor, "b"]) -> InnerProduct | None:
        """Returns the metric in which the Jacobian of `prediction.z` is symmetric; None, as here, is the identity."""
        return None

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


def find_density(prior: Prior) -> DensityEvaluation | None:
    """Returns the function that evaluates what mean shift on a prior climbs; None if it has no density."""
    if isinstance(prior, PriorWrapper):
        return prior.density
    return prior.evaluate if isinstance(prior, DensityPrior) else None


def select_rows(prior: Prior, rows: Int[Tensor, "r"]) -> Prior:
    """Returns the prior of some rows of a batch, for priors that hold data per row."""
    return prior.rows(rows) if isinstance(prior, PriorWrapper) else prior


def find_metric(prior: Prior, bandwidth: Float[Tensor, "b"]) -> InnerProduct | None:
    """Returns the metric in which the Jacobian of `prediction.z` is symmetric; None is the identity."""
    found = (wrapper.metric(bandwidth) for wrapper in wrappers(prior))
    return next((metric for metric in found if metric is not None), None)


def find_denoiser(prior: Prior) -> Prior:
    """Returns the outermost prior whose predictions are posterior means: this one, or one that it wraps."""
    for wrapper in wrappers(prior):
        if not wrapper.is_denoiser:
            return find_denoiser(wrapper.prior)
    return prior


def require_text(prior: Prior, title: str) -> TextPrior:
    """Returns the innermost prior, which encodes text.

    Raises:
        ValueError: it takes no text; the message names it by its title.
    """
    if not prior.takes_text:
        raise ValueError(f"{title} takes no prompts: got prompts; use a pipeline prior, or set label")
    return cast("TextPrior", cast(object, unwrap(prior)))
