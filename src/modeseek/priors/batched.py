"""Batched evaluation of a prior: several conditions, points and noise levels in one call."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import Prediction
from modeseek.priors.base import Conditions, Prior
from modeseek.pytree import Cond, concatenate, expand

Query = tuple[Tensor, Tensor, Tensor, Cond]
"""Arguments of one evaluation: points z_t (r, *d), alpha (r,), sigma (r,) and a condition with leading axis r or 1."""


def predict_branches(
    prior: Prior,
    z_t: Float[Tensor, "b *d"],
    alpha: Float[Tensor, "b"],
    sigma: Float[Tensor, "b"],
    conds: Sequence[Cond],
) -> list[Prediction]:
    """Predicts the same noised points under each of k conditions.

    One batched call, k prior calls per row; see `evaluate_batched`.

    Args:
        prior: bare prior, evaluated under plain conditions.
        z_t: noised points, (b, *d), each at its own level.
        alpha: signal scale per row, (b,).
        sigma: noise scale per row, (b,).
        conds: k >= 1 conditions of one structure, leading axes b or 1; or all None.

    Returns:
        k predictions at the same `z_t`, in the order of `conds`.

    Raises:
        ValueError: no condition; None beside a condition; a leading axis that is neither 1 nor b.
    """
    return evaluate_batched(prior, [(z_t, alpha, sigma, cond) for cond in conds])


def evaluate_batched(prior: Prior, queries: Sequence[Query]) -> list[Prediction]:
    """Evaluates every query in one batched call, in order; one prior call per row of each.

    Rows are stacked query by query in points, levels and conditions alike, so that each point keeps its own condition.
    Queries may have different numbers of rows, 0 included.

    Raises:
        ValueError: no query; None beside a condition; a leading axis that is neither 1 nor the number of rows.
    """
    if not queries:
        raise ValueError(
            "a batched evaluation needs at least one condition: got none; pass conds=[None] for a plain call"
        )
    n_conditioned = sum(cond is not None for *_, cond in queries)
    if n_conditioned not in (0, len(queries)):
        raise ValueError(
            f"a batched evaluation cannot batch None with conditions: got {n_conditioned} of {len(queries)}; "
            "pass the null condition instead of None"
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
    """Returns the conditions that guidance evaluates; [None] where there are none.

    These are the positive, and the baseline unless the scale is 1.

    Raises:
        ValueError: scale != 1 and no baseline.
    """
    if conditions is None:
        return [None]
    return [conditions.positive] if scale == 1 else [conditions.positive, conditions.baseline]


def require_conditions(conditions: Conditions | None, method: str, *parts: str) -> Conditions:
    """Returns the conditions if every named part is given.

    Raises:
        ValueError: a part is missing; the message names it.
    """
    missing = [part for part in parts if getattr(conditions, part, None) is None]
    if missing or conditions is None:
        got = "no conditions" if conditions is None else f"Conditions without {' and '.join(missing)}"
        given = ", ".join(f"{part}=..." for part in parts)
        raise ValueError(f"{method} needs the conditions {', '.join(parts)}: got {got}; pass Conditions({given})")
    return conditions
