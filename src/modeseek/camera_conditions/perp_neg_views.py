"""Perp-Neg view conditions: interpolated view prompts, and the opposed views of each camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.generators.camera import wrap_degrees
from modeseek.priors.base import Conditions
from modeseek.pytree import Cond, map_tensors, select


@dataclass(frozen=True)
class ExponentialDecay:
    """Exponential decay `a exp(-b r) + c` of an interpolation weight r in [0, 1]; must be >= 0 there."""

    a: float
    b: float
    c: float

    def __post_init__(self) -> None:
        if not min(self.a + self.c, self.a * math.exp(-self.b) + self.c) >= 0:  # monotone: the ends decide
            raise ValueError(f"a Perp-Neg decay must be >= 0 for r in [0, 1], got {self}; increase c")

    def __call__(self, r: Tensor) -> Tensor:
        return self.a * torch.exp(-self.b * r) + self.c


@dataclass(frozen=True)
class PerpNegViews:
    """View prompts interpolated in azimuth, with opposed views (Armandpour et al. 2023, arXiv 2304.04968).

    Within 90 degrees of the front, with `r = 1 - |azimuth| / 90`, the positive condition is `r front + (1 - r) side`,
    and the opposed conditions are front with weight `-front_side(r)` and side with `-side_front(1 - r)`. Beyond 90
    degrees, with `r = 2 - |azimuth| / 90`, the positive condition is `r side + (1 - r) back`, and the opposed
    conditions are side with `-side_back(r)` and front with `-front_back(r)`. Overhead views are neither interpolated
    nor opposed. Default constants are those of threestudio.

    Attributes:
        front_side: weight against the front view between front and side, a function of r; 0 at r = 1.
        side_front: weight against the side view between front and side, a function of 1 - r.
        side_back: weight against the side view between side and back, a function of r.
        front_back: weight against the front view between side and back, a function of r; suppresses the Janus problem.
    """

    front_side: ExponentialDecay = ExponentialDecay(4.0, 0.5, -2.426)
    side_front: ExponentialDecay = ExponentialDecay(4.0, 0.5, -2.426)
    side_back: ExponentialDecay = ExponentialDecay(1.0, 0.5, -0.606)
    front_back: ExponentialDecay = ExponentialDecay(1.0, 0.5, 0.967)

    def at(
        self, conditions: Conditions, first: Int[Tensor, "b"], azimuth: Float[Tensor, "b"], overhead: Bool[Tensor, "b"]
    ) -> Conditions:
        """Returns the conditions of cameras for a `PerpNeg` prior, (b, ...).

        Args:
            conditions: conditions whose positive has four consecutive rows per prompt: front, side, back, overhead.
            first: index of the first row of each camera's prompt.
            azimuth: azimuths in degrees from the front, unbounded.
            overhead: mask of the cameras with an overhead view.

        Raises:
            ValueError: conditions that cannot be interpolated.
        """
        angle = wrap_degrees(azimuth).abs()
        front_half = angle < 90
        r = torch.where(front_half, 1, 2) - angle / 90
        front, side = first, first + 1
        near = torch.where(overhead, first + 3, torch.where(front_half, front, side))
        far = torch.where(overhead, first + 3, torch.where(front_half, side, first + 2))
        first_weight = torch.where(front_half, self.front_side(r), self.side_back(r))
        second_weight = torch.where(front_half, self.side_front(1 - r), self.front_back(r))
        rows = conditions.positive
        opposed = (
            (select(rows, torch.where(front_half, front, side)), -first_weight * ~overhead),
            (select(rows, torch.where(front_half, side, front)), -second_weight * ~overhead),
        )
        positive = interpolate_conditions(select(rows, near), select(rows, far), r)
        return Conditions(positive, conditions.null, conditions.negative, opposed, conditions.source)


def interpolate_conditions(near: Cond, far: Cond, weight: Float[Tensor, "b"]) -> Cond:
    """Returns `weight near + (1 - weight) far` row by row; attention masks are united.

    Raises:
        ValueError: labels, which cannot be interpolated.
    """

    def interpolate(a: Tensor, b: Tensor) -> Tensor:
        if a.is_floating_point():
            w = expand_like(weight, a).to(a)
            return w * a + (1 - w) * b
        if a.ndim < 2 and not torch.equal(a, b):
            raise ValueError("views are interpolated between embeddings, got labels; use a text-conditioned prior")
        return torch.maximum(a, b)

    return map_tensors(interpolate, near, far)
