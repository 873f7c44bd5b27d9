"""Placement of a scene's objects by their relation, and the camera distance that frames them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.sdf_points import SDFPoints
from modeseek.datasets.scenes.vocabulary import RELATIONS
from modeseek.generators.camera import camera_frame


def world_support(
    object_type: Int[Tensor, "n"], scale: Float[Tensor, "n"], yaw: Float[Tensor, "n"], direction: Float[Tensor, "n 3"]
) -> Float[Tensor, "n"]:
    """Extent of each object, placed at the origin, along a world direction; 0 for an empty slot."""
    local = to_local(direction, yaw)
    out = torch.zeros_like(scale)
    for i, shape in enumerate(OBJECT_TYPES.values()):
        rows = (object_type == i).nonzero()[:, 0]
        if len(rows):
            out[rows] = scale[rows] * shape.support(SDFPoints(*local[rows].T.contiguous()))
    return out


def to_local(world: Float[Tensor, "n 3"], yaw: Float[Tensor, "n"]) -> Float[Tensor, "n 3"]:
    """World directions in the axes of objects rotated about +y by `yaw` degrees."""
    c, s = yaw.deg2rad().cos(), yaw.deg2rad().sin()
    x, y, z = world.unbind(-1)
    return torch.stack([c * x - s * z, y, s * x + c * z], -1)


def to_world(local: Float[Tensor, "n 3"], yaw: Float[Tensor, "n"]) -> Float[Tensor, "n 3"]:
    """Local directions in world axes: the inverse of `to_local`."""
    return to_local(local, -yaw)


@dataclass(frozen=True)
class Placement:
    """Object positions and camera distance of n scenes.

    Attributes:
        position: origin of each object in world axes; the scene's bounding box in camera axes is centred at 0.
        distance: camera distance from the origin, world units.
    """

    position: Float[Tensor, "n 2 3"]
    distance: Float[Tensor, "n"]


def place_objects(
    object_type: Int[Tensor, "n 2"],
    scale: Float[Tensor, "n 2"],
    yaw: Float[Tensor, "n 2"],
    relation: Int[Tensor, "n"],
    azimuth: Float[Tensor, "n"],
    elevation: Float[Tensor, "n"],
    fov: Float[Tensor, "n"],
    fill: Float[Tensor, "n"],
    lateral: Float[Tensor, "n"],
) -> Placement:
    """Places the second object at the origin and the first by its relation, then centres and frames the scene.

    "on": the first's lowest point touches the second's seat. "beside": on the same ground, to the camera's right or
    left by the sign of `lateral`, the two just apart. "behind": on the same ground, just beyond the second as the
    camera sees it, and shifted to the side given by `lateral` until a little more than half of it is visible.

    Args:
        object_type: index into `OBJECT_TYPES`, -1 for an empty second slot.
        scale: world units per unit of the object.
        yaw: rotation about +y, degrees.
        relation: index into `RELATIONS`, -1 for a single object.
        azimuth: camera azimuth, degrees.
        elevation: camera elevation, degrees.
        fov: full field of view of the camera, degrees.
        fill: approximate share of the image side that the scene's larger extent takes, in (0, 1).
        lateral: side and size of the lateral offset, in [-1, 1]; positive is the camera's right.
    """
    camera = camera_frame(azimuth, elevation, torch.ones_like(azimuth))
    up = torch.tensor([0.0, 1.0, 0.0]).expand(len(azimuth), 3)
    away = torch.stack([-azimuth.deg2rad().sin(), torch.zeros_like(azimuth), -azimuth.deg2rad().cos()], -1)
    side = torch.where(lateral < 0, -1.0, 1.0)[:, None]

    def slot_support(slot: int, direction: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        return world_support(object_type[:, slot], scale[:, slot], yaw[:, slot], direction)

    ground = (slot_support(0, -up) - slot_support(1, -up))[:, None] * up
    outward = camera.right * side
    first_half, second_half = slot_support(0, -outward)[:, None], slot_support(1, outward)[:, None]
    beside = ground + (first_half + second_half) * (1.06 + 0.1 * lateral.abs()[:, None]) * outward
    depths = (slot_support(0, -away) + slot_support(1, away))[:, None]
    shift = second_half + first_half * (0.05 + 0.35 * lateral.abs()[:, None])
    behind = ground + 1.05 * depths * away + shift * outward
    seats = torch.tensor([shape.seat or (0.0, 0.0, 0.0) for shape in OBJECT_TYPES.values()])
    under = torch.tensor([(shape.box_center[0], 0.0, shape.box_center[2]) for shape in OBJECT_TYPES.values()])
    stacked = (
        to_world(seats[object_type[:, 1]] * scale[:, 1:], yaw[:, 1])
        - to_world(under[object_type[:, 0]] * scale[:, :1], yaw[:, 0])
        + slot_support(0, -up)[:, None] * up
    )
    first = torch.zeros(len(azimuth), 3)
    for i, offset in enumerate((stacked, beside, behind)):
        first = torch.where((relation == i)[:, None], offset, first)
    positions = torch.stack([first, torch.zeros_like(first)], 1)

    def extent(direction: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        ends = [slot_support(slot, direction) + (positions[:, slot] * direction).sum(-1) for slot in (0, 1)]
        return torch.where(object_type[:, 1] < 0, ends[0], torch.maximum(*ends))

    center, halves = torch.zeros_like(first), []
    for axis in (camera.right, camera.up, camera.forward):
        high, low = extent(axis), extent(-axis)
        center += ((high - low) / 2)[:, None] * axis
        halves.append((high + low) / 2)
    half_width, half_height, half_depth = halves
    distance = torch.maximum(half_width, half_height) / (fill * (fov / 2).deg2rad().tan()) + 0.7 * half_depth
    return Placement(positions - center[:, None], distance)


ON, BESIDE, BEHIND = (RELATIONS.index(word) for word in ("on", "beside", "behind"))
