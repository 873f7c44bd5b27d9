"""Penalties on where along each ray its colour comes from."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import Rendering
from modeseek.regularizers.base import Penalty, require_ray_samples


@dataclass(frozen=True)
class Distortion(Penalty):
    """Mean over pixels of `sum_ij w_i w_j |m_i - m_j| + 1/3 sum_i w_i^2 d_i`: one thin layer a ray, no floaters.

    Barron, Mildenhall, Verbin, Srinivasan, Hedman 2021 (Mip-NeRF 360, arXiv 2111.12077): w are the weights, m the
    middles and d the lengths of the samples' intervals, here in world units (a scene of another size takes its weight
    by that factor). It is the mean distance of two points of the ray's colour, so it is at most the ray's length.

    O(s): between samples k and k + 1 pass all pairs of the A_k before with the B_k after, so the double sum is
    `2 sum_k (m_{k+1} - m_k) A_k B_k`, a sum of non-negative terms in which nothing cancels. Samples are in order.
    """

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        seen, rays = require_ray_samples(rendering, self)
        w, m = seen.weights, (seen.near + seen.far) / 2
        before = w.cumsum(1)[:, :-1]
        after = w.flip(1).cumsum(1).flip(1)[:, 1:]
        apart = 2 * (m.diff(dim=1) * before * after).sum()
        thick = (w.square() * (seen.far - seen.near)).sum() / 3
        return (apart + thick) / rays


@dataclass(frozen=True)
class ZVariance(Penalty):
    """Variance of the distance along the ray, `sum_i p_i (m_i - sum_j p_j m_j)^2` with `p_i = w_i / sum_j w_j`.

    Mean over the rays whose opacity is above `least`; 0 where there is none. Zhu, Zhuang, Koyejo 2023 (HiFA, arXiv
    2305.18766): a surface instead of a cloud. World units squared.

    Attributes:
        least: opacity below which a ray is background, in (0, 1).
    """

    least: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.least < 1:
            raise ValueError(f"ZVariance needs least in (0, 1): got {self.least}; HiFA's is 0.5")

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        seen, _ = require_ray_samples(rendering, self)
        total = seen.weights.sum(1, keepdim=True)
        rows = (total.detach()[:, 0] > self.least).nonzero()[:, 0]
        p, m = (seen.weights / total.clamp(min=self.least))[rows], ((seen.near + seen.far) / 2)[rows]
        mean = (p * m).sum(1, keepdim=True)
        return (p * (m - mean).square()).sum() / max(1, len(rows))
