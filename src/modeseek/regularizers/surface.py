"""Regularizers on surface normals."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import Rendering
from modeseek.regularizers.base import Penalty, require_3d, require_ray_samples


@dataclass(frozen=True)
class Orientation(Penalty):
    """Orientation loss `sum_i w_i max(0, n_i . d)^2`, mean over pixels: visible normals must face the camera.

    Verbin et al. 2021 (Ref-NeRF, arXiv 2112.03907): n points out of the surface, d from the camera along the ray. With
    `hold` the weights get no gradient, as in DreamFusion (arXiv 2209.14988); otherwise the object can reduce the
    penalty by vanishing.

    Attributes:
        hold: whether the weights are detached.
    """

    hold: bool = True

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        samples, rays = require_ray_samples(rendering, self)
        cosine = (samples.normals() * samples.direction[:, None]).sum(-1).clamp(min=0)
        weights = samples.weights.detach() if self.hold else samples.weights
        return (weights * cosine.square()).sum() / rays


@dataclass(frozen=True)
class NormalSmoothness(Penalty):
    """Normal smoothness `o_p o_q |n_p - n_q|^2`, mean over neighbouring pixels p, q: penalises creases and noise.

    Pairs are horizontal and vertical neighbours. Opacities o are detached and exclude outlines: a pair with a
    background pixel has no penalty. The counterpart for meshes is Magic3D's smoothness of adjacent faces (Lin et al.
    2022, arXiv 2211.10440).
    """

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        rendering = require_3d(rendering, self)
        if rendering.normal is None:
            raise ValueError("NormalSmoothness needs a normal map, got none; set normals=True on the generator")
        total, pairs = rendering.normal.new_zeros(()), 0
        opacity = rendering.opacity.detach()
        for axis in (2, 3):
            steps = rendering.normal.shape[axis] - 1
            both = opacity.narrow(axis, 0, steps) * opacity.narrow(axis, 1, steps)
            total = total + (both * rendering.normal.diff(dim=axis).square().sum(1, keepdim=True)).sum()
            pairs += both.numel()
        return total / max(1, pairs)
