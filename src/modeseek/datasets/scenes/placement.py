"""Where things stand, so that what the caption says is true and can be seen, and how far the camera must be."""

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
    """How far each thing, stood at the origin, extends along a world direction (0 for an empty slot)."""
    local = to_local(direction, yaw)
    out = torch.zeros_like(scale)
    for i, kind in enumerate(OBJECT_TYPES.values()):
        rows = (object_type == i).nonzero()[:, 0]
        if len(rows):
            out[rows] = scale[rows] * kind.support(SDFPoints(*local[rows].T.contiguous()))
    return out


def to_local(world: Float[Tensor, "n 3"], yaw: Float[Tensor, "n"]) -> Float[Tensor, "n 3"]:
    """World directions in the axes of things turned about +y by `turn` degrees."""
    c, s = yaw.deg2rad().cos(), yaw.deg2rad().sin()
    x, y, z = world.unbind(-1)
    return torch.stack([c * x - s * z, y, s * x + c * z], -1)


def to_world(local: Float[Tensor, "n 3"], yaw: Float[Tensor, "n"]) -> Float[Tensor, "n 3"]:
    """The inverse of `to_local`."""
    return to_local(local, -yaw)


@dataclass(frozen=True)
class Placement:
    """Where the things stand and the camera's distance.

    Attributes:
        place: where the things' origins go: the box around all, in the camera's axes, is centred at the origin.
        distance: of the camera.
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
    """Stands the second object at the origin and the first by its relation, then centres and frames the whole.

    "on": the first's lowest point touches the second's seat. "beside": on the same ground, to the camera's right or
    left by the sign of `swing`, the two just apart. "behind": on the same ground, just beyond the second as the
    camera sees it, and shifted to the side that `swing` says until a little more than half of it is seen.

    Args:
        thing: rows in `THINGS`, -1 for an empty second slot.
        scale: world units a unit of the thing.
        turn: degrees.
        relation: row in `RELATIONS`, -1 with one object.
        azimuth: of the camera.
        elevation: of the camera.
        fov: of the camera.
        fill: which share of the image's side the scene's larger extent takes, about.
        swing: in [-1, 1]; the sign chooses the side, the size how far the gap goes.
    """
    camera = camera_frame(azimuth, elevation, torch.ones_like(azimuth))
    up = torch.tensor([0.0, 1.0, 0.0]).expand(len(azimuth), 3)
    away = torch.stack([-azimuth.deg2rad().sin(), torch.zeros_like(azimuth), -azimuth.deg2rad().cos()], -1)
    side = torch.where(lateral < 0, -1.0, 1.0)[:, None]

    def of(slot: int, along: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        return world_support(object_type[:, slot], scale[:, slot], yaw[:, slot], along)

    ground = (of(0, -up) - of(1, -up))[:, None] * up
    far = camera.right * side
    narrow, wide = of(0, -far)[:, None], of(1, far)[:, None]
    beside = ground + (narrow + wide) * (1.06 + 0.1 * lateral.abs()[:, None]) * far
    depths = (of(0, -away) + of(1, away))[:, None]
    behind = ground + 1.05 * depths * away + (wide + narrow * (0.05 + 0.35 * lateral.abs()[:, None])) * far
    seats = torch.tensor([kind.seat or (0.0, 0.0, 0.0) for kind in OBJECT_TYPES.values()])
    under = torch.tensor([(kind.box_center[0], 0.0, kind.box_center[2]) for kind in OBJECT_TYPES.values()])
    stacked = (
        to_world(seats[object_type[:, 1]] * scale[:, 1:], yaw[:, 1])
        - to_world(under[object_type[:, 0]] * scale[:, :1], yaw[:, 0])
        + of(0, -up)[:, None] * up
    )
    first = torch.zeros(len(azimuth), 3)
    for i, offset in enumerate((stacked, beside, behind)):
        first = torch.where((relation == i)[:, None], offset, first)
    places = torch.stack([first, torch.zeros_like(first)], 1)

    def extent(along: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        ends = [of(slot, along) + (places[:, slot] * along).sum(-1) for slot in (0, 1)]
        return torch.where(object_type[:, 1] < 0, ends[0], torch.maximum(*ends))

    middle, halves = torch.zeros_like(first), []
    for along in (camera.right, camera.up, camera.forward):
        high, low = extent(along), extent(-along)
        middle += ((high - low) / 2)[:, None] * along
        halves.append((high + low) / 2)
    across, tall, deep = halves
    distance = torch.maximum(across, tall) / (fill * (fov / 2).deg2rad().tan()) + 0.7 * deep
    return Placement(places - middle[:, None], distance)


ON, BESIDE, BEHIND = (RELATIONS.index(word) for word in ("on", "beside", "behind"))
