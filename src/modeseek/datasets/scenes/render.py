"""Ray casting of scenes: visible surfaces, edge pixels and the background gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.datasets.scenes.layouts import Layouts
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.shade import shade
from modeseek.datasets.scenes.sphere_tracing import ObjectInstances, sphere_trace
from modeseek.generators.camera import pixel_centres


@dataclass(frozen=True)
class RayHits:
    """Nearest surface along each of m rays.

    Attributes:
        depth: depth along the viewing axis, world units; inf for a miss.
        slot: slot of the object, 0 or 1; -1 for a miss.
        normal: surface normal in world axes; 0 for a miss.
        colour: shaded colour, [0, 1]; 0 for a miss.
    """

    depth: Float[Tensor, "m"]
    slot: Int[Tensor, "m"]
    normal: Float[Tensor, "m 3"]
    colour: Float[Tensor, "m 3"]


def cast_rays(
    layouts: Layouts,
    instances: ObjectInstances,
    candidates: tuple[Int[Tensor, "q"], Int[Tensor, "q"]],
    u: Float[Tensor, "m"],
    v: Float[Tensor, "m"],
    pixel: Float[Tensor, "k"],
) -> RayHits:
    """Traces rays against their candidate objects and shades the nearest hits.

    Args:
        layouts: scenes.
        instances: objects of the scenes.
        candidates: index pairs (instance, ray), sorted by instance.
        u: horizontal image coordinate of each ray, right, in [-1, 1].
        v: vertical image coordinate of each ray, up, in [-1, 1].
        pixel: angular size of a pixel for each instance.
    """
    instance, ray = candidates
    rays = instances.rays(instance, u[ray], v[ray])
    length = sphere_trace(instances, rays, pixel)
    layers = torch.full((2, len(u)), math.inf, device=u.device)
    slot = instances.slot[instance]
    hit_depth = length * rays.cosine * instances.scale[instance]
    layers[slot, ray] = hit_depth
    depth, nearest = layers.min(0)
    shown = ((hit_depth < math.inf) & (nearest[ray] == slot)).nonzero()[:, 0]
    surface = shade(layouts, instances, rays.select(shown), length[shown])
    normal, colour = layers.new_zeros(len(u), 3), layers.new_zeros(len(u), 3)
    normal[ray[shown]] = surface.normal
    colour[ray[shown]] = surface.colour
    return RayHits(depth, torch.where(depth < math.inf, nearest, -1), normal, colour)


def candidates(instances: ObjectInstances, size: int) -> Int[Tensor, "q 2"]:
    """Index pairs (instance, pixel) whose ray hits the instance's bounding sphere, sorted by instance."""
    across = pixel_centres(size, device=instances.scale.device)
    u, v = across.repeat(size), -across.repeat_interleave(size)
    radius = torch.tensor(
        [[(b - a) / 2 for a, b in zip(*shape.bounding_box, strict=True)] for shape in OBJECT_TYPES.values()],
        device=u.device,
    ).norm(dim=-1)[instances.object_type]
    center = torch.tensor([shape.box_center for shape in OBJECT_TYPES.values()], device=u.device)[instances.object_type]
    offset = center - instances.eye
    along = (instances.axes * offset[:, None]).sum(-1)
    # The ray (u, v, 1) tangent hits the sphere where (offset . d)^2 >= (|offset|^2 - r^2) |d|^2.
    tangent = instances.tangent[:, None]
    grid = torch.stack([u, v, torch.ones_like(u)])
    projection = torch.cat([along[:, :2] * tangent, along[:, 2:]], 1) @ grid
    squares = (u * u).addcmul_(v, v)
    threshold = (offset.square().sum(-1) - radius**2)[:, None] * torch.addcmul(
        torch.ones_like(projection), squares[None].expand_as(projection), tangent.square().expand_as(projection)
    )
    return (projection.square_() >= threshold).nonzero()


def edge_pixels(slot: Int[Tensor, "n s s"], colour: Float[Tensor, "n s s 3"], contrast: float) -> Bool[Tensor, "n s s"]:
    """Pixels next to another object, or to a colour that differs by more than `contrast`, summed over channels."""
    edge = torch.zeros_like(slot, dtype=torch.bool)
    for axis in (1, 2):
        a, b = slice(None, -1), slice(1, None)
        before = (slice(None),) * axis
        differs = (slot[(*before, a)] != slot[(*before, b)]) | (
            (colour[(*before, a)] - colour[(*before, b)]).abs().sum(-1) > contrast
        )
        edge[(*before, a)] |= differs
        edge[(*before, b)] |= differs
    return edge


def background_gradient(layouts: Layouts, size: int) -> Float[Tensor, "n s s 3"]:
    """Linear gradient between the two background colours, along `background_angle`."""
    across = pixel_centres(size, device=layouts.background_angle.device)
    angle = layouts.background_angle.deg2rad()[:, None, None]
    share = 0.5 + 0.35 * (angle.cos() * across - angle.sin() * across[:, None])
    return torch.lerp(layouts.background[:, None, None, 0], layouts.background[:, None, None, 1], share[..., None])
