"""A plane through a volume: its density where the plane is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from modeseek.generators.camera import Cameras
from modeseek.generators.nerf import NeRF

AxisName = Literal["x", "y", "z"]
_FADED = 0.3  # what is left of the picture's colours beside and behind the plane
_COVER = 0.9  # of the plane


@dataclass(frozen=True)
class DensitySection:
    """A plane across one of the world's axes.

    Attributes:
        axis: it stands across this one.
        place: where along it, world units.
    """

    axis: AxisName = "z"
    place: float = 0.0


def section_density(
    nerf: NeRF, cameras: Cameras, size: int, section: DensitySection
) -> tuple[Float[Tensor, "n s s"], Bool[Tensor, "n s s"]]:
    """The density, a world unit, where each pixel's ray meets the plane, and whether it does so inside the ball."""
    cameras = cameras.to(next(nerf.volume.parameters()))
    origin, directions = cameras.rays(size)
    k = "xyz".index(section.axis)
    along = (section.place - origin[:, None, None, k]) / directions[..., k]  # infinite where they never meet
    points = origin[:, None, None] + along[..., None].nan_to_num(0, 0, 0) * directions
    points[..., k] = section.place
    met = (along > 0) & along.isfinite() & (points.norm(dim=-1) <= nerf.radius)
    density = points.new_zeros(met.shape)
    if met.any():
        density[met] = nerf.field(points[met])[0]
    return density, met


def overlay(
    image: Float[Tensor, "n 3 s s"], density: Float[Tensor, "n s s"], met: Bool[Tensor, "n s s"]
) -> Float[Tensor, "n 3 s s"]:
    """The picture, paler, and before it the plane in viridis, from no density to the greatest that is seen."""
    from matplotlib import colormaps

    top = density.max().clamp_min(1e-12)
    rgb = colormaps["viridis"]((density / top).double().cpu().numpy())[..., :3]
    plane = torch.from_numpy(rgb).permute(0, 3, 1, 2).to(image)
    pale = 1 - _FADED * (1 - image)
    return torch.where(met[:, None], _COVER * plane + (1 - _COVER) * pale, pale)
