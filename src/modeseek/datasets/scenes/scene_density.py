"""Density of a static scene without its colours, from the distance functions of its objects."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.placement import to_local
from modeseek.datasets.scenes.sdf_points import SDFPoints
from modeseek.datasets.scenes.static_scene import StaticScene
from modeseek.generators.mesh.extract import DensityField

_STEEPNESS = 200.0  # of the density at the surface, per world unit
_GREY = 0.5
SURFACE_LEVEL = 1.0  # density at the surface


def scene_distance(scene: StaticScene, points: Float[Tensor, "m 3"]) -> Float[Tensor, "m"]:
    """Returns the signed distance of points from the objects of a scene, world units; negative inside.

    Outside it is a lower bound of the true distance, as `ObjectType.distance` is.
    """
    layout, distances = scene.layout, []
    for slot in (0, 1):
        index = int(layout.object_type[0, slot])
        if index < 0:
            continue
        scale, yaw = layout.scale[0, slot], layout.yaw[0, slot].expand(len(points))
        local = to_local(points - layout.position[0, slot], yaw) / scale
        distances.append(scale * tuple(OBJECT_TYPES.values())[index].distance(SDFPoints(*local.T.contiguous())))
    return torch.stack(distances).amin(0)


def scene_density(scene: StaticScene) -> DensityField:
    """Returns the density of a scene, `SURFACE_LEVEL` on its surface, grey everywhere: for `extract`."""

    def evaluate(points: Tensor) -> tuple[Tensor, Tensor]:
        density = 2 * SURFACE_LEVEL * (-_STEEPNESS * scene_distance(scene, points)).sigmoid()
        return density, torch.full_like(points, _GREY)

    return DensityField(evaluate, 1.0)
