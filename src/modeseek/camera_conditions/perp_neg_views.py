"""Perp-Neg between views: what a camera at any azimuth seeks, and which views it keeps away from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.priors.base import Conditions
from modeseek.pytree import Cond, map_tensors, select


@dataclass(frozen=True)
class ExponentialDecay:
    """`a exp(-b r) + c` of a share r in [0, 1]."""

    a: float
    b: float
    c: float

    def __post_init__(self) -> None:
        if not min(self.a + self.c, self.a * math.exp(-self.b) + self.c) >= 0:  # monotone: the ends decide
            raise ValueError(f"a decay of Perp-Neg is >= 0 for shares in [0, 1]: got {self}; raise c")

    def __call__(self, r: Tensor) -> Tensor:
        return self.a * torch.exp(-self.b * r) + self.c


@dataclass(frozen=True)
class PerpNegViews:
    """Views interpolated in azimuth (Armandpour et al. 2023, arXiv 2304.04968; constants of threestudio).

    Within 90 degrees of the front, with share `r = 1 - |azimuth| / 90`, the condition sought is
    `r front + (1 - r) side`; opposed are front with weight `-front_side(r)` and side with `-side_front(1 - r)`. Further
    round, with `r = 2 - |azimuth| / 90`, it is `r side + (1 - r) back`; opposed are side with `-side_back(r)` and front
    with `-front_back(r)`. Overhead nothing is interpolated and nothing opposed.

    Attributes:
        front_side: pushes away from the front, as the camera leaves it; 0 at r = 1.
        side_front: pushes away from the side, as the camera leaves it for the front.
        side_back: pushes away from the side, as the camera leaves it for the back.
        front_back: pushes away from the front behind the side: the two-faced Janus.
    """

    front_side: ExponentialDecay = ExponentialDecay(4.0, 0.5, -2.426)
    side_front: ExponentialDecay = ExponentialDecay(4.0, 0.5, -2.426)
    side_back: ExponentialDecay = ExponentialDecay(1.0, 0.5, -0.606)
    front_back: ExponentialDecay = ExponentialDecay(1.0, 0.5, 0.967)

    def at(
        self, conditions: Conditions, first: Int[Tensor, "b"], azimuth: Float[Tensor, "b"], overhead: Bool[Tensor, "b"]
    ) -> Conditions:
        """Conditions for `PerpNeg`, (b, ...).

        Args:
            told: its positive holds four consecutive rows a prompt: front, side, back, overhead.
            first: each camera's first row.
            azimuth: degrees from the front, unbounded.
            overhead: which cameras look down.

        Raises:
            ValueError: conditions that cannot be interpolated.
        """
        off = ((azimuth + 180) % 360 - 180).abs()
        facing = off < 90
        r = torch.where(facing, 1, 2) - off / 90
        front, side = first, first + 1
        near = torch.where(overhead, first + 3, torch.where(facing, front, side))
        far = torch.where(overhead, first + 3, torch.where(facing, side, first + 2))
        away = torch.where(facing, self.front_side(r), self.side_back(r))
        also = torch.where(facing, self.side_front(1 - r), self.front_back(r))
        rows = conditions.positive
        opposed = (
            (select(rows, torch.where(facing, front, side)), -away * ~overhead),
            (select(rows, torch.where(facing, side, front)), -also * ~overhead),
        )
        return Conditions(interpolate_conditions(select(rows, near), select(rows, far), r), conditions.null, conditions.negative, opposed, conditions.source)


def interpolate_conditions(near: Cond, far: Cond, share: Float[Tensor, "b"]) -> Cond:
    """`share near + (1 - share) far` of conditions row by row; of attention masks the words that either has.

    Raises:
        ValueError: labels, which have no between.
    """

    def between(a: Tensor, b: Tensor) -> Tensor:
        if a.is_floating_point():
            s = expand_like(share, a).to(a)
            return s * a + (1 - s) * b
        if a.ndim < 2 and not torch.equal(a, b):
            raise ValueError("views are interpolated between embeddings: got labels; use a prior that is told words")
        return torch.maximum(a, b)

    return map_tensors(between, near, far)
