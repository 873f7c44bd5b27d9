"""Perp-Neg guidance: negative conditions that cannot cancel the positive one, as a prior around a prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.priors.base import Conditions, PerRow, Prior, Rows
from modeseek.priors.batched import predict_branches
from modeseek.priors.guidance import check_scale
from modeseek.priors.wrapper import PriorWrapper
from modeseek.pytree import Cond, expand


@dataclass(frozen=True)
class PerpNeg(PriorWrapper):
    """Perp-Neg (Armandpour et al. 2023, arXiv 2304.04968): guidance away from negatives, perpendicular to the positive.

    With `e = eps_cond - eps_base` and `e_i = eps_i - eps_base` for each of `Conditions.opposed`,

        eps = eps_base + scale [e + sum_i w_i (e_i - <e_i, e> / <e, e> e)],   w_i <= 0,

    the products per row; base is the negative condition where given, else the null one. A negative parallel to
    the positive has no effect, and where e = 0 nothing is projected. z is guided as eps is, with the same shares: the
    two differ by `-sigma / alpha`; the shares are measured on z where the noise dominates and on eps where the signal
    does, so levels without signal or without noise are exact too.

    2 + k prior calls per row for k opposed conditions, as one batched call; a condition with weight 0 in every row is
    not evaluated, and without any this is `Guided`. Each row is projected with its own conditions: threestudio pairs
    rows with other rows' negatives where there is more than one item (its issue 456).

    Attributes:
        prior: prior to guide, conditioned on `Conditions.positive`.
        scale: guidance scale as in `Guided`; 1 is plain conditional where nothing is opposed.
    """

    prior: Prior
    scale: float = 7.5
    guides: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_scale(self.scale)

    def at(self, z_t: Rows, alpha: PerRow, sigma: PerRow, cond: Cond = None) -> Prediction:
        """Returns the guided prediction; cond must be a `Conditions`.

        Raises:
            TypeError: cond is no `Conditions`.
            ValueError: a weight above 0, or no baseline (neither null nor negative).
        """
        if not isinstance(cond, Conditions):
            raise TypeError(f"PerpNeg needs Conditions(positive=..., opposed=...): got {type(cond).__name__}; wrap it")
        opposed = _active(cond, len(z_t))
        if self.scale == 1 and not opposed:
            return predict_branches(self.prior, z_t, alpha, sigma, [cond.positive])[0]
        conds = [cond.baseline, cond.positive, *(negative for negative, _ in opposed)]
        base, plain, *away = predict_branches(self.prior, z_t, alpha, sigma, conds)
        exact = torch.promote_types(z_t.dtype, torch.float32)
        e_z, e_eps = (plain.z - base.z).to(exact), (plain.eps - base.eps).to(exact)
        noisy = sigma > alpha
        z, eps, clamped = e_z, e_eps, base.clamped | plain.clamped
        for p, (_, weight) in zip(away, opposed, strict=True):
            a_z, a_eps = (p.z - base.z).to(exact), (p.eps - base.eps).to(exact)
            share = expand_like(torch.where(noisy, _share(a_z, e_z), _share(a_eps, e_eps)), z_t)
            w = expand_like(weight.to(z), z_t)
            z, eps = z + w * (a_z - share * e_z), eps + w * (a_eps - share * e_eps)
            clamped = clamped | p.clamped
        z, eps = base.z + (self.scale * z).to(z_t), base.eps + (self.scale * eps).to(z_t)
        return Prediction.from_z_and_eps(z_t, alpha, sigma, z, eps, clamped)


def _active(cond: Conditions, n: int) -> list[tuple[Cond, Tensor]]:
    """Returns the opposed conditions of nonzero weight, with a weight per row."""
    pairs = [(opposed, expand(weight, n)) for opposed, weight in cond.opposed or ()]
    for _, weight in pairs:
        if not (weight <= 0).all():
            raise ValueError(f"opposed weights must be <= 0, got {weight.tolist()}; try the opposite sign")
    return [(opposed, weight) for opposed, weight in pairs if (weight != 0).any()]


def _share(a: Tensor, along: Tensor) -> Tensor:
    """Returns `<a, along> / <along, along>` per row; 0 where along is 0. Scaled against under- and overflow."""
    a, along = a.flatten(1), along.flatten(1)
    size = along.abs().amax(1, keepdim=True)
    size = size.where(size > 0, torch.ones_like(size))
    unit = along / size
    return (a * unit).sum(1) / (unit * unit).sum(1).clamp(min=1) / size[:, 0]
