"""What edits start from, and what a prior says of source and target at one noise level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import Prediction
from modeseek.methods.base import RenderContext
from modeseek.methods.noising import add_noise
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.batched import evaluate_batched, require_conditions
from modeseek.priors.guidance import extrapolate

Source = Tensor | Callable[[RenderContext], Tensor]
"""What is edited, as the prior sees it (z): a tensor that broadcasts to z, or a function of the context (what another
generator renders from the same camera)."""


@dataclass(frozen=True)
class EditState:
    """What an edit remembers.

    Attributes:
        source: the z it started from, where the method was given none; else None.
    """

    source: Tensor | None


def init_edit(source: Source | None, z: Float[Tensor, "b *d"]) -> EditState:
    """The state before the first step: z itself is the source, unless there is another."""
    return EditState(z.detach().clone() if source is None else None)


def resolve_source(
    source: Source | None, state: EditState, z: Float[Tensor, "b *d"], context: RenderContext | None
) -> Float[Tensor, "b *d"]:
    """The source of every row, like z.

    Raises:
        ValueError: a function without a context; a source that does not broadcast to z.
    """
    if callable(source) and not isinstance(source, Tensor):
        if context is None:
            raise ValueError("a source that is a function needs a context: got none; pass context=... or a tensor")
        source = source(context)
    found = state.source if source is None else source
    if found is None:
        raise ValueError("an edit needs its source: got a state without; begin with init, or pass source=...")
    fits = found.ndim <= z.ndim and all(a in (1, b) for a, b in zip(found.shape[::-1], z.shape[::-1], strict=False))
    if not fits:
        raise ValueError(f"a source broadcasts to z {tuple(z.shape)}: got {tuple(found.shape)}; encode and batch alike")
    return found.detach().to(z).expand_as(z)


def predict_pair(
    prior: Prior,
    z: Float[Tensor, "b *d"],
    source: Float[Tensor, "b *d"],
    t: Float[Tensor, "b"],
    eps: Float[Tensor, "b *d"],
    conditions: Conditions | None,
    scale: float,
    method: str,
) -> tuple[Prediction, Prediction]:
    """Guided predictions of z and of its source, at the same level and with the same noise.

    The target is told `conditions.positive`, the source `conditions.source`; both are guided away from the same
    baseline. Four prior calls a row, as one batched call; two at scale 1.

    Raises:
        ValueError: no positive, no source, or no baseline to guide away from.
    """
    told = require_conditions(conditions, method, "positive", "source")
    alpha, sigma = prior.schedule(t)
    points = [add_noise(x, eps, alpha, sigma) for x in (z, source)]
    asked = [(x, alpha, sigma, cond) for x, cond in zip(points, (told.positive, told.source), strict=True)]
    if scale != 1:
        asked += [(x, alpha, sigma, told.baseline) for x in points]
    target, origin, *bases = evaluate_batched(prior, asked)
    if bases:
        s = torch.full_like(alpha, scale)
        target, origin = extrapolate(bases[0], target, s), extrapolate(bases[1], origin, s)
    return target, origin
