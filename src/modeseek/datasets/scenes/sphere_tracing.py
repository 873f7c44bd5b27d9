"""Sphere tracing of many rays against many instances of the object types."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.datasets.scenes.layouts import Layouts
from modeseek.datasets.scenes.object_type import ObjectType
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.placement import to_local
from modeseek.datasets.scenes.sdf_points import SDFPoints
from modeseek.generators.camera import camera_frame

STEPS = 40  # maximum number of steps per ray
_CHECK_EVERY = 3  # steps between two checks for finished rays
_CHUNK = 32768  # rays at a time, sized for a core's cache
_TOLERANCE = 0.02  # distance to the surface at which a ray has hit it, in pixels


@dataclass(frozen=True)
class ObjectInstances:
    """k object instances of scenes, sorted by object type, each with its camera in the object's axes and units.

    Attributes:
        row: index of its scene.
        slot: slot in the scene, 0 or 1.
        object_type: index into `OBJECT_TYPES`.
        type_counts: number of instances of each object type.
        scale: world units per unit of the object.
        eye: camera position.
        axes: camera's right, up and forward directions as rows.
        tangent: tan(fov / 2) of the camera.
    """

    row: Int[Tensor, "k"]
    slot: Int[Tensor, "k"]
    object_type: Int[Tensor, "k"]
    type_counts: list[int]
    scale: Float[Tensor, "k"]
    eye: Float[Tensor, "k 3"]
    axes: Float[Tensor, "k 3 3"]
    tangent: Float[Tensor, "k"]

    @classmethod
    def from_layouts(cls, layouts: Layouts) -> ObjectInstances:
        """All objects of a batch of scenes."""
        row, slot = (layouts.object_type >= 0).nonzero(as_tuple=True)
        object_type = layouts.object_type[row, slot]
        order = object_type.argsort(stable=True)
        row, slot, object_type = row[order], slot[order], object_type[order]
        camera = camera_frame(layouts.azimuth[row], layouts.elevation[row], layouts.distance[row])
        yaw, scale = layouts.yaw[row, slot], layouts.scale[row, slot]
        eye = to_local(camera.position - layouts.position[row, slot], yaw) / scale[:, None]
        axes = torch.stack([to_local(v, yaw) for v in (camera.right, camera.up, camera.forward)], 1)
        counts = torch.bincount(object_type, minlength=len(OBJECT_TYPES)).tolist()
        return cls(row, slot, object_type, counts, scale, eye, axes, (layouts.fov[row] / 2).deg2rad().tan())

    def rays(self, instance: Int[Tensor, "m"], u: Float[Tensor, "m"], v: Float[Tensor, "m"]) -> InstanceRays:
        """Rays through image points (u, v) in [-1, 1], right and up; instances in ascending order."""
        tangent = self.tangent[instance]
        u, v = u * tangent, v * tangent
        norm = (u * u).addcmul_(v, v).add_(1).rsqrt_()
        u, v = u * norm, v * norm
        columns = self.axes.reshape(-1, 9).T.contiguous().index_select(1, instance)
        direction = [columns[i].mul(u).addcmul_(columns[3 + i], v).addcmul_(columns[6 + i], norm) for i in range(3)]
        eye = self.eye.T.contiguous().index_select(1, instance)
        return InstanceRays(instance, torch.stack([*eye, *direction]), norm)


@dataclass(frozen=True)
class InstanceRays:
    """m rays, each in the axes and units of its instance.

    Attributes:
        instance: index of the instance.
        origin_direction: x, y, z of the camera position, then of the unit direction.
        cosine: cosine between the ray and the viewing axis; depth is length times cosine.
    """

    instance: Int[Tensor, "m"]
    origin_direction: Float[Tensor, "6 m"]
    cosine: Float[Tensor, "m"]

    def select(self, index: Int[Tensor, "q"]) -> InstanceRays:
        """Subset of the rays."""
        return InstanceRays(self.instance[index], self.origin_direction.index_select(1, index), self.cosine[index])


def sphere_trace(instances: ObjectInstances, rays: InstanceRays, pixel: Float[Tensor, "k"]) -> Float[Tensor, "m"]:
    """Length of each ray up to its first hit, in the instance's units; inf for a miss.

    Args:
        instances: object instances.
        rays: rays sorted by instance.
        pixel: angular size of one pixel for each instance; a ray hits within a fiftieth of a pixel.
    """
    out = torch.full_like(rays.cosine, math.inf)
    ends = torch.searchsorted(rays.instance, torch.tensor(instances.type_counts, device=out.device).cumsum(0)).tolist()
    begin = 0
    for object_type, end in zip(OBJECT_TYPES.values(), ends, strict=True):
        for first in range(begin, end, _CHUNK):
            part = slice(first, min(first + _CHUNK, end))
            out[part] = _trace_type(object_type, rays.origin_direction[:, part], pixel[rays.instance[part]])
        begin = end
    return out


def _trace_type(object_type: ObjectType, ray: Float[Tensor, "6 m"], pixel: Float[Tensor, "m"]) -> Float[Tensor, "m"]:
    out = torch.full_like(pixel, math.inf)
    low, high = object_type.bounding_box
    enter, leave = torch.zeros_like(pixel), torch.full_like(pixel, math.inf)
    for axis in range(3):
        inverse = ray[3 + axis].reciprocal()
        a, b = (low[axis] - ray[axis]) * inverse, (high[axis] - ray[axis]) * inverse
        enter, leave = enter.maximum(a.minimum(b)), leave.minimum(a.maximum(b))
    active = (enter < leave).nonzero()[:, 0]
    state = torch.cat([ray, enter[None], leave[None], pixel[None] * _TOLERANCE]).index_select(1, active)
    for step in range(1, STEPS + 1):
        ox, oy, oz, dx, dy, dz, t, end, tolerance = state
        distance = object_type.distance(SDFPoints(ox.addcmul(dx, t), oy.addcmul(dy, t), oz.addcmul(dz, t)))
        t.add_(distance)
        if step % _CHECK_EVERY == 0 or step == STEPS:
            # Rays out of steps graze the surface: those within a tenth of a pixel of it count as hits.
            hit = distance < (t * tolerance if step < STEPS else t * tolerance * (0.1 / _TOLERANCE))
            out.index_copy_(0, active, t.masked_fill(~hit, math.inf))
            live = (t < end).logical_and_(~hit).nonzero()[:, 0]
            if not len(live):
                break
            active, state = active.index_select(0, live), state.index_select(1, live)
    return out
