"""Planar section through the density of a 3D object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from modeseek.generators.camera import Cameras
from modeseek.generators.mesh.extract import DensityField

AxisName = Literal["x", "y", "z"]
_FADED = 0.3  # share of the image's contrast that remains beside and behind the plane
_COVER = 0.9  # opacity of the plane


@dataclass(frozen=True)
class DensitySection:
    """Plane perpendicular to one of the world's axes.

    Attributes:
        axis: normal of the plane.
        position: coordinate of the plane along the axis, world units.
    """

    axis: AxisName = "z"
    position: float = 0.0


def section_density(
    field: DensityField, cameras: Cameras, size: int, section: DensitySection
) -> tuple[Float[Tensor, "n s s"], Bool[Tensor, "n s s"]]:
    """Density per world unit where each pixel's ray hits the plane, and whether the hit lies in the volume's ball."""
    cameras = cameras.to(field.like)
    origin, directions = cameras.rays(size)
    k = "xyz".index(section.axis)
    along = (section.position - origin[:, None, None, k]) / directions[..., k]  # infinite for parallel rays
    points = origin[:, None, None] + along[..., None].nan_to_num(0, 0, 0) * directions
    points[..., k] = section.position
    hit = (along > 0) & along.isfinite() & (points.norm(dim=-1) <= field.radius)
    density = points.new_zeros(hit.shape)
    if hit.any():
        density[hit] = field.evaluate(points[hit])[0]
    return density, hit


def overlay(
    image: Float[Tensor, "n 3 s s"], density: Float[Tensor, "n s s"], hit: Bool[Tensor, "n s s"]
) -> Float[Tensor, "n 3 s s"]:
    """The image, paler, overlaid with the density on the plane in viridis, from 0 to its maximum in the image."""
    from matplotlib import colormaps

    top = density.max().clamp_min(1e-12)
    rgb = colormaps["viridis"]((density / top).double().cpu().numpy())[..., :3]
    plane = torch.from_numpy(rgb).permute(0, 3, 1, 2).to(image)
    pale = 1 - _FADED * (1 - image)
    return torch.where(hit[:, None], _COVER * plane + (1 - _COVER) * pale, pale)
