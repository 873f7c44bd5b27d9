"""Sphere tracing of many rays through many copies of many things."""

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

STEPS = 40
_BETWEEN = 3  # steps between two looks at which rays have ended
_CHUNK = 32768  # rays at a time: what fits into a core's cache
_CLOSE = 0.02  # in pixels: a ray this near has arrived


@dataclass(frozen=True)
class ObjectInstances:
    """k things standing in scenes, sorted by thing, each with its camera in the thing's own axes and units.

    Attributes:
        row: its scene.
        slot: 0 the first object, 1 the second.
        thing: row in `THINGS`.
        count: how many instances each thing has.
        scale: world units a unit of the thing.
        eye: the camera's position.
        axes: the camera's right, up and forward directions, a row each.
        tangent: tan(fov / 2).
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
        """All objects of those scenes."""
        row, slot = (layouts.object_type >= 0).nonzero(as_tuple=True)
        thing = layouts.object_type[row, slot]
        order = thing.argsort(stable=True)
        row, slot, thing = row[order], slot[order], thing[order]
        camera = camera_frame(layouts.azimuth[row], layouts.elevation[row], layouts.distance[row])
        turn, scale = layouts.yaw[row, slot], layouts.scale[row, slot]
        eye = to_local(camera.position - layouts.position[row, slot], turn) / scale[:, None]
        axes = torch.stack([to_local(v, turn) for v in (camera.right, camera.up, camera.forward)], 1)
        count = torch.bincount(thing, minlength=len(OBJECT_TYPES)).tolist()
        return cls(row, slot, thing, count, scale, eye, axes, (layouts.fov[row] / 2).deg2rad().tan())

    def rays(self, instance: Int[Tensor, "m"], u: Float[Tensor, "m"], v: Float[Tensor, "m"]) -> InstanceRays:
        """Rays through the image points (u, v) in [-1, 1], right and up, of instances in ascending order."""
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
        which: its instance.
        line: x, y, z of the eye, then of the unit direction.
        cosine: between the ray and the viewing axis: depth is length times cosine.
    """

    instance: Int[Tensor, "m"]
    origin_direction: Float[Tensor, "6 m"]
    cosine: Float[Tensor, "m"]

    def select(self, chosen: Int[Tensor, "q"]) -> InstanceRays:
        """Some of the rays."""
        return InstanceRays(self.instance[chosen], self.origin_direction.index_select(1, chosen), self.cosine[chosen])


def sphere_trace(instances: ObjectInstances, rays: InstanceRays, pixel: Float[Tensor, "k"]) -> Float[Tensor, "m"]:
    """How long each ray goes until it meets its instance, in the instance's units; inf if it never does.

    Args:
        instances: what is met.
        rays: sorted by instance.
        pixel: each instance's angular size of one pixel: a ray has arrived when nearer than a fiftieth of a pixel.
    """
    out = torch.full_like(rays.cosine, math.inf)
    ends = torch.searchsorted(rays.instance, torch.tensor(instances.type_counts, device=out.device).cumsum(0)).tolist()
    begin = 0
    for thing, end in zip(OBJECT_TYPES.values(), ends, strict=True):
        for at in range(begin, end, _CHUNK):
            part = slice(at, min(at + _CHUNK, end))
            out[part] = _trace_type(thing, rays.origin_direction[:, part], pixel[rays.instance[part]])
        begin = end
    return out


def _trace_type(thing: ObjectType, line: Float[Tensor, "6 m"], pixel: Float[Tensor, "m"]) -> Float[Tensor, "m"]:
    out = torch.full_like(pixel, math.inf)
    low, high = thing.bounding_box
    enter, leave = torch.zeros_like(pixel), torch.full_like(pixel, math.inf)
    for axis in range(3):
        inverse = line[3 + axis].reciprocal()
        a, b = (low[axis] - line[axis]) * inverse, (high[axis] - line[axis]) * inverse
        enter, leave = enter.maximum(a.minimum(b)), leave.minimum(a.maximum(b))
    keep = (enter < leave).nonzero()[:, 0]
    state = torch.cat([line, enter[None], leave[None], pixel[None] * _CLOSE]).index_select(1, keep)
    for step in range(1, STEPS + 1):
        ox, oy, oz, dx, dy, dz, t, end, close = state
        far = thing.distance(SDFPoints(ox.addcmul(dx, t), oy.addcmul(dy, t), oz.addcmul(dz, t)))
        t.add_(far)
        if step % _BETWEEN == 0 or step == STEPS:
            # Rays out of steps graze the surface: those within a tenth of a pixel of it count as meeting it.
            met = far < (t * close if step < STEPS else t * close * (0.1 / _CLOSE))
            out.index_copy_(0, keep, t.masked_fill(~met, math.inf))
            live = (t < end).logical_and_(~met).nonzero()[:, 0]
            if not len(live):
                break
            keep, state = keep.index_select(0, live), state.index_select(1, live)
    return out
