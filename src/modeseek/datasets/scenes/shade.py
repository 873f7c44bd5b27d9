"""From points on surfaces to colours and normals."""

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
from modeseek.datasets.scenes.sphere_tracing import ObjectInstances, InstanceRays
from modeseek.datasets.scenes.vocabulary import COLOURS, PAINTS

_CHUNK = 32768
_TIP = 4e-3  # how far the four probes of a normal lie from the point, in the thing's units
_DARK = 0.6  # what the paint "dark" leaves of a colour
_CREVICE = 0.16  # how far out along the normal free space is looked for


class ShadedPoints(NamedTuple):
    """What m rays meet.

    Attributes:
        normal: unit, world axes.
        colour: shaded, in [0, 1].
    """

    normal: Float[Tensor, "m 3"]
    colour: Float[Tensor, "m 3"]


@cache
def _palette() -> Float[Tensor, "colours paints 3"]:
    fixed = torch.tensor(list(PAINTS.values()))
    return torch.stack([torch.cat([torch.tensor([c]), _DARK * torch.tensor([c]), fixed]) for c in COLOURS.values()])


def shade(layouts: Layouts, instances: ObjectInstances, rays: InstanceRays, length: Float[Tensor, "m"]) -> ShadedPoints:
    """Diffuse light from the scene's lamp, half wrapped around, over an ambient part darkened in crevices.

    Args:
        layouts: the scenes.
        instances: their objects.
        rays: sorted by instance; all meet it.
        length: how far each goes.
    """
    normals, open_, paints = [], [], []
    ends = torch.searchsorted(rays.instance, torch.tensor(instances.type_counts, device=length.device).cumsum(0)).tolist()
    begin = 0
    for thing, end in zip(OBJECT_TYPES.values(), ends, strict=True):
        for at in range(begin, end, _CHUNK):
            part = slice(at, min(at + _CHUNK, end))
            line, t = rays.origin_direction[:, part], length[part]
            p = SDFPoints(*(line[i].addcmul(line[3 + i], t) for i in range(3)))
            normal = _normal(thing, p)
            normals.append(torch.stack(normal, -1))
            out = SDFPoints(*(a.add(n, alpha=_CREVICE) for a, n in zip(p, normal, strict=True)))
            open_.append((thing.distance(out) / _CREVICE).clamp_(0, 1))
            paints.append(thing.paint_index(p))
        begin = end
    if not normals:
        return ShadedPoints(rays.origin_direction.new_zeros(0, 3), rays.origin_direction.new_zeros(0, 3))
    which = rays.instance
    row, slot = instances.row[which], instances.slot[which]
    local = torch.cat(normals)
    lamp = (layouts.light[instances.row, :, None] * _camera_axes(instances)).sum(1)[which]
    lit = (0.35 + 0.65 * (local * lamp).sum(-1)).clamp_(min=0)
    light = (0.42 + 0.12 * local[:, 1]) * (0.45 + 0.55 * torch.cat(open_)) + 0.58 * lit
    base = _palette().to(local.device)[layouts.colour[row, slot], torch.cat(paints)]
    gloss = 0.05 * lit.pow(8)
    colour = (base * light[:, None] + gloss[:, None]).clamp_(0, 1)
    return ShadedPoints(to_world(local, layouts.yaw[row, slot]), colour)


def _camera_axes(instances: ObjectInstances) -> Float[Tensor, "k 3 3"]:
    """Right, up and backward, in which lamps are given."""
    return instances.axes * instances.axes.new_tensor([1.0, 1.0, -1.0])[:, None]


def _normal(thing: ObjectType, p: SDFPoints) -> SDFPoints:
    """The gradient's direction from four probes at the corners of a tetrahedron."""
    n = [torch.zeros_like(p.x) for _ in range(3)]
    for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
        far = thing.distance(SDFPoints(*(a + constant(_TIP * c) for a, c in zip(p, corner, strict=True))))
        for axis in range(3):
            n[axis].add_(far, alpha=corner[axis])
    norm = (n[0] * n[0]).addcmul_(n[1], n[1]).addcmul_(n[2], n[2]).clamp_(min=1e-20).rsqrt_()
    return SDFPoints(*(a.mul_(norm) for a in n))
