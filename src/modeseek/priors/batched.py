"""Several questions to one prior in one batched call: branches of conditions, points and levels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import Prediction
from modeseek.priors.base import Conditions, Prior
from modeseek.pytree import Cond, expand, concatenate

Query = tuple[Tensor, Tensor, Tensor, Cond]
"""Points z_t (r, *d), alpha (r,), sigma (r,) and a condition with leading axis r or 1."""


def predict_branches(
    prior: Prior,
    z_t: Float[Tensor, "b *d"],
    alpha: Float[Tensor, "b"],
    sigma: Float[Tensor, "b"],
    conds: Sequence[Cond],
) -> list[Prediction]:
    """What the prior says of the same noised points under each of k conditions.

    One batched call, k calls a row; see `together`.

    Args:
        prior: bare; it is handed plain conditions.
        z_t: noised points, each with its own level.
        alpha: signal scale per row.
        sigma: noise scale per row.
        conds: k >= 1 conditions of one structure, leading axes b or 1; or all None.

    Returns:
        k predictions at the same `z_t`, in the order of `conds`.

    Raises:
        ValueError: no condition; None beside a condition; a leading axis that is neither 1 nor b.
    """
    return evaluate_batched(prior, [(z_t, alpha, sigma, cond) for cond in conds])


def evaluate_batched(prior: Prior, queries: Sequence[Query]) -> list[Prediction]:
    """Answers every question in one batched call, in their order; one call per row of each.

    Rows are stacked question by question in points, levels and conditions alike, so that no point is ever asked about
    another point's prompt. Questions may have different numbers of rows, none at all included.

    Raises:
        ValueError: no question; None beside a condition; a leading axis that is neither 1 nor the number of rows.
    """
    if not queries:
        raise ValueError("branches needs at least one condition: got none; pass conds=[None] for a plain call")
    told = sum(cond is not None for *_, cond in queries)
    if told not in (0, len(queries)):
        raise ValueError(
            f"branches cannot batch None with conditions: got {told} of {len(queries)}; name the empty one too"
        )
    z_t, alpha, sigma = (torch.cat(parts) for parts in list(zip(*queries, strict=True))[:3])
    p = prior.at(z_t, alpha, sigma, concatenate([expand(cond, len(z)) for z, *_, cond in queries]))
    rows = [len(z) for z, *_ in queries]
    return [
        Prediction(z, a, s, signal, eps, clamped)
        for (z, a, s, _), signal, eps, clamped in zip(
            queries, p.z.split(rows), p.eps.split(rows), p.clamped.split(rows), strict=True
        )
    ]


def guidance_conditions(conditions: Conditions | None, scale: float) -> list[Cond]:
    """What guidance by a scale asks about: the condition, and the baseline unless the scale is 1; None where none is.

    Raises:
        ValueError: no baseline where one is needed.
    """
    if conditions is None:
        return [None]
    return [conditions.positive] if scale == 1 else [conditions.positive, conditions.baseline]


def require_conditions(conditions: Conditions | None, method: str, *parts: str) -> Conditions:
    """The conditions, once every named part of them is there.

    Raises:
        ValueError: a part is missing; the one line names it and how to give it.
    """
    missing = [part for part in parts if getattr(conditions, part, None) is None]
    if missing or conditions is None:
        got = "no conditions" if conditions is None else f"Conditions without {' and '.join(missing)}"
        given = ", ".join(f"{part}=..." for part in parts)
        raise ValueError(f"{method} needs the conditions {', '.join(parts)}: got {got}; pass Conditions({given})")
    return conditions
