"""Shading: colours and normals of surface points."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes.layouts import Layouts
from modeseek.datasets.scenes.object_type import ObjectType
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.placement import to_world
from modeseek.datasets.scenes.sdf_points import SDFPoints, constant
from modeseek.datasets.scenes.sphere_tracing import InstanceRays, ObjectInstances
from modeseek.datasets.scenes.vocabulary import COLOURS, PAINTS

_CHUNK = 32768
_NORMAL_STEP = 4e-3  # distance of the four finite-difference probes of a normal, in object units
_DARK = 0.6  # factor of the paint "dark" on the caption's colour
_OCCLUSION_REACH = 0.16  # length of the ambient-occlusion probe along the normal, in object units


class ShadedPoints(NamedTuple):
    """Shaded surface points of m rays.

    Attributes:
        normal: unit surface normal, world axes.
        colour: shaded colour, [0, 1].
    """

    normal: Float[Tensor, "m 3"]
    colour: Float[Tensor, "m 3"]


@cache
def _palette() -> Float[Tensor, "colours paints 3"]:
    fixed = torch.tensor(list(PAINTS.values()))
    return torch.stack([torch.cat([torch.tensor([c]), _DARK * torch.tensor([c]), fixed]) for c in COLOURS.values()])


def shade(layouts: Layouts, instances: ObjectInstances, rays: InstanceRays, length: Float[Tensor, "m"]) -> ShadedPoints:
    """Wrapped diffuse shading of the scene's light over an ambient term with occlusion.

    Args:
        layouts: scenes.
        instances: objects of the scenes.
        rays: rays that hit their instance, sorted by instance.
        length: length of each ray up to the surface, in the instance's units.
    """
    normals, openness, paints = [], [], []
    ends = torch.searchsorted(
        rays.instance, torch.tensor(instances.type_counts, device=length.device).cumsum(0)
    ).tolist()
    begin = 0
    for object_type, end in zip(OBJECT_TYPES.values(), ends, strict=True):
        for first in range(begin, end, _CHUNK):
            part = slice(first, min(first + _CHUNK, end))
            ray, t = rays.origin_direction[:, part], length[part]
            p = SDFPoints(*(ray[i].addcmul(ray[3 + i], t) for i in range(3)))
            normal = _normal(object_type, p)
            normals.append(torch.stack(normal, -1))
            out = SDFPoints(*(a.add(n, alpha=_OCCLUSION_REACH) for a, n in zip(p, normal, strict=True)))
            openness.append((object_type.distance(out) / _OCCLUSION_REACH).clamp_(0, 1))
            paints.append(object_type.paint_index(p))
        begin = end
    if not normals:
        return ShadedPoints(rays.origin_direction.new_zeros(0, 3), rays.origin_direction.new_zeros(0, 3))
    instance = rays.instance
    row, slot = instances.row[instance], instances.slot[instance]
    local = torch.cat(normals)
    direction = (layouts.light[instances.row, :, None] * _camera_axes(instances)).sum(1)[instance]
    lit = (0.35 + 0.65 * (local * direction).sum(-1)).clamp_(min=0)
    light = (0.42 + 0.12 * local[:, 1]) * (0.45 + 0.55 * torch.cat(openness)) + 0.58 * lit
    base = _palette().to(local.device)[layouts.colour[row, slot], torch.cat(paints)]
    gloss = 0.05 * lit.pow(8)
    colour = (base * light[:, None] + gloss[:, None]).clamp_(0, 1)
    return ShadedPoints(to_world(local, layouts.yaw[row, slot]), colour)


def _camera_axes(instances: ObjectInstances) -> Float[Tensor, "k 3 3"]:
    """Camera axes (right, up, backward), in which light directions are given."""
    return instances.axes * instances.axes.new_tensor([1.0, 1.0, -1.0])[:, None]


def _normal(object_type: ObjectType, p: SDFPoints) -> SDFPoints:
    """Unit gradient of the signed distance by finite differences at the corners of a tetrahedron."""
    n = [torch.zeros_like(p.x) for _ in range(3)]
    for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
        distance = object_type.distance(
            SDFPoints(*(a + constant(_NORMAL_STEP * c) for a, c in zip(p, corner, strict=True)))
        )
        for axis in range(3):
            n[axis].add_(distance, alpha=corner[axis])
    norm = (n[0] * n[0]).addcmul_(n[1], n[1]).addcmul_(n[2], n[2]).clamp_(min=1e-20).rsqrt_()
    return SDFPoints(*(a.mul_(norm) for a in n))
