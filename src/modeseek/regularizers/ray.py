"""Regularizers on the distribution of weights along rays."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import Rendering
from modeseek.regularizers.base import Penalty, require_ray_samples


@dataclass(frozen=True)
class Distortion(Penalty):
    """Distortion loss `sum_ij w_i w_j |m_i - m_j| + 1/3 sum_i w_i^2 d_i`, mean over pixels: penalises floaters.

    Barron, Mildenhall, Verbin, Srinivasan, Hedman 2021 (Mip-NeRF 360, arXiv 2111.12077): w are the weights, m the
    midpoints and d the lengths of the sample intervals, in world units (for a scene of another size, rescale the
    weight). It is the mean distance of two points drawn by the weights, so at most the length of the ray.

    O(s) evaluation: with A_k the total weight up to sample k and B_k the total weight after it, the double sum is
    `2 sum_k (m_{k+1} - m_k) A_k B_k`, whose terms are non-negative, so nothing cancels. Samples must be sorted.
    """

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        samples, rays = require_ray_samples(rendering, self)
        w, m = samples.weights, (samples.near + samples.far) / 2
        before = w.cumsum(1)[:, :-1]
        after = w.flip(1).cumsum(1).flip(1)[:, 1:]
        between = 2 * (m.diff(dim=1) * before * after).sum()
        within = (w.square() * (samples.far - samples.near)).sum() / 3
        return (between + within) / rays


@dataclass(frozen=True)
class ZVariance(Penalty):
    """Depth variance along rays, `sum_i p_i (m_i - sum_j p_j m_j)^2` with `p_i = w_i / sum_j w_j`.

    Mean over the rays with opacity above `least`; 0 if there are none. Zhu, Zhuang, Koyejo 2023 (HiFA, arXiv
    2305.18766): favours surfaces over clouds. In world units squared.

    Attributes:
        least: smallest opacity of a foreground ray, in (0, 1).
    """

    least: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.least < 1:
            raise ValueError(f"ZVariance needs least in (0, 1), got {self.least}; HiFA uses 0.5")

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        samples, _ = require_ray_samples(rendering, self)
        total = samples.weights.sum(1, keepdim=True)
        rows = (total.detach()[:, 0] > self.least).nonzero()[:, 0]
        p, m = (samples.weights / total.clamp(min=self.least))[rows], ((samples.near + samples.far) / 2)[rows]
        mean = (p * m).sum(1, keepdim=True)
        return (p * (m - mean).square()).sum() / max(1, len(rows))
