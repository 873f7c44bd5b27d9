"""Penalties on which way a surface looks."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import Rendering
from modeseek.regularizers.base import Penalty, require_ray_samples, require_3d


@dataclass(frozen=True)
class Orientation(Penalty):
    """Mean over pixels of `sum_i w_i max(0, n_i . d)^2`: what is seen does not look away from the camera.

    Verbin et al. 2021 (Ref-NeRF, arXiv 2112.03907): n points out of the surface, d from the camera along the ray. With
    `hold` no gradient goes through the weights, as in DreamFusion (arXiv 2209.14988): else the thing escapes the
    penalty by vanishing.

    Attributes:
        hold: see above.
    """

    hold: bool = True

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        seen, rays = require_ray_samples(rendering, self)
        away = (seen.normals() * seen.direction[:, None]).sum(-1).clamp(min=0)
        weights = seen.weights.detach() if self.hold else seen.weights
        return (weights * away.square()).sum() / rays


@dataclass(frozen=True)
class NormalSmoothness(Penalty):
    """Mean over neighbouring pixels p, q of `o_p o_q |n_p - n_q|^2`: no creases, no noise on surfaces.

    The pairs are those across a row and down a column. Opacities o, held constant, keep outlines free: where one of the
    two sees the background nothing is asked. The picture of it that 3-D generation has for meshes is Magic3D's penalty
    on adjacent faces (Lin et al. 2022, arXiv 2211.10440).
    """

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        one = require_3d(rendering, self)
        if one.normal is None:
            raise ValueError("NormalSmoothness reads a map of normals: got none; let the generator render normals")
        total, pairs = one.normal.new_zeros(()), 0
        opacity = one.opacity.detach()
        for axis in (2, 3):
            steps = one.normal.shape[axis] - 1
            both = opacity.narrow(axis, 0, steps) * opacity.narrow(axis, 1, steps)
            total = total + (both * one.normal.diff(dim=axis).square().sum(1, keepdim=True)).sum()
            pairs += both.numel()
        return total / max(1, pairs)
