"""Source of an edit, and paired predictions of source and target at one noise level."""

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
"""Edited source as z: a tensor that broadcasts to z, or a function of the render context (for example another
generator's rendering from the same camera)."""


@dataclass(frozen=True)
class EditState:
    """State of an edit.

    Attributes:
        source: initial z of the run if the method has no source of its own, else None.
    """

    source: Tensor | None


def init_edit(source: Source | None, z: Float[Tensor, "b *d"]) -> EditState:
    """Returns the state before the first step: z itself is the source, unless one is given."""
    contiguous = torch.contiguous_format  # as a checkpoint restores it: kernels round by the layout
    return EditState(z.detach().clone(memory_format=contiguous) if source is None else None)


def resolve_source(
    source: Source | None, state: EditState, z: Float[Tensor, "b *d"], context: RenderContext | None
) -> Float[Tensor, "b *d"]:
    """Returns the source of every row, with shape, dtype and device of z.

    Raises:
        ValueError: the source is a function and there is no context; the source does not broadcast to z.
    """
    if callable(source) and not isinstance(source, Tensor):
        if context is None:
            raise ValueError("a source function needs a context, got none; try context=... or a tensor as source")
        source = source(context)
    source = state.source if source is None else source
    if source is None:
        raise ValueError("an edit needs a source, got none in method and state; try source=... or the state of init")
    fits = source.ndim <= z.ndim and all(a in (1, b) for a, b in zip(source.shape[::-1], z.shape[::-1], strict=False))
    if not fits:
        raise ValueError(f"source must broadcast to z {tuple(z.shape)}, got {tuple(source.shape)}")
    return source.detach().to(z, non_blocking=True).expand_as(z)


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
    """Returns guided predictions of z and of its source, at the same noise level and with the same noise.

    The target is conditioned on `conditions.positive`, the source on `conditions.source`; both share one guidance
    baseline. Costs 4 prior calls per row, as one batched call; 2 at scale 1.

    Raises:
        ValueError: no positive condition, no source condition, or no guidance baseline.
    """
    alpha, sigma = prior.schedule(t)
    points = (add_noise(z, eps, alpha, sigma), add_noise(source, eps, alpha, sigma))
    return evaluate_pair(prior, points, (alpha, sigma), conditions, (scale, scale), method)


def evaluate_pair(
    prior: Prior,
    points: tuple[Float[Tensor, "b *d"], Float[Tensor, "b *d"]],
    level: tuple[Float[Tensor, "b"], Float[Tensor, "b"]],
    conditions: Conditions | None,
    scales: tuple[float, float],
    method: str,
) -> tuple[Prediction, Prediction]:
    """Returns guided predictions of noised points of a target and of its source, at one noise level a row.

    The target, the first of each pair, is conditioned on `conditions.positive`, the source on `conditions.source`;
    both share one guidance baseline. Costs 4 prior calls per row, as one batched call; one less for each scale of 1.

    Raises:
        ValueError: no positive condition, no source condition, or no guidance baseline.
    """
    conditions = require_conditions(conditions, method, "positive", "source")
    conds = (conditions.positive, conditions.source)
    guided = [k for k, scale in enumerate(scales) if scale != 1]
    queries = [(x, *level, cond) for x, cond in zip(points, conds, strict=True)]
    predictions = evaluate_batched(prior, queries + [(points[k], *level, conditions.baseline) for k in guided])
    pair, bases = predictions[:2], predictions[2:]
    for k, base in zip(guided, bases, strict=True):
        pair[k] = extrapolate(base, pair[k], torch.full_like(level[0], scales[k]))
    return pair[0], pair[1]
