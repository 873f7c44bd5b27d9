"""The picture: one ray a pixel, more where something ends, and the background behind."""

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
    """What m rays of scenes see, nearest first.

    Attributes:
        depth: along the viewing axis, world units; inf where nothing is met.
        slot: -1 for the background, 0 or 1 for the object.
        normal: world axes, 0 where nothing is met.
        colour: 0 where nothing is met.
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
    """Traces rays against the objects they may meet and shades what is nearest.

    Args:
        layouts: the scenes.
        instances: their objects.
        candidates: pairs (instance, ray), sorted by instance.
        u: each ray's image point, right, in [-1, 1].
        v: each ray's image point, up.
        pixel: each instance's angular size of a pixel.
    """
    which, ray = candidates
    rays = instances.rays(which, u[ray], v[ray])
    length = sphere_trace(instances, rays, pixel)
    layers = torch.full((2, len(u)), math.inf, device=u.device)
    slot = instances.slot[which]
    deep = length * rays.cosine * instances.scale[which]
    layers[slot, ray] = deep
    depth, nearest = layers.min(0)
    shown = ((deep < math.inf) & (nearest[ray] == slot)).nonzero()[:, 0]
    surface = shade(layouts, instances, rays.select(shown), length[shown])
    normal, colour = layers.new_zeros(len(u), 3), layers.new_zeros(len(u), 3)
    normal[ray[shown]] = surface.normal
    colour[ray[shown]] = surface.colour
    return RayHits(depth, torch.where(depth < math.inf, nearest, -1), normal, colour)


def candidates(instances: ObjectInstances, size: int) -> Int[Tensor, "q 2"]:
    """Pairs (instance, pixel) whose ray passes the ball around the instance's box, sorted by instance."""
    across = pixel_centres(size, device=instances.scale.device)
    u, v = across.repeat(size), -across.repeat_interleave(size)
    half = torch.tensor(
        [[(b - a) / 2 for a, b in zip(*thing.bounding_box, strict=True)] for thing in OBJECT_TYPES.values()], device=u.device
    ).norm(dim=-1)[instances.object_type]
    middle = torch.tensor([thing.box_center for thing in OBJECT_TYPES.values()], device=u.device)[instances.object_type]
    eye = middle - instances.eye
    along = (instances.axes * eye[:, None]).sum(-1)
    # The ray (u, v, 1) tangent passes the ball where (eye . d)^2 >= (|eye|^2 - r^2) |d|^2.
    tangent = instances.tangent[:, None]
    grid = torch.stack([u, v, torch.ones_like(u)])
    reached = torch.cat([along[:, :2] * tangent, along[:, 2:]], 1) @ grid
    squares = (u * u).addcmul_(v, v)
    needed = (eye.square().sum(-1) - half**2)[:, None] * torch.addcmul(
        torch.ones_like(reached), squares[None].expand_as(reached), tangent.square().expand_as(reached)
    )
    return (reached.square_() >= needed).nonzero()


def edge_pixels(slot: Int[Tensor, "n s s"], colour: Float[Tensor, "n s s 3"], contrast: float) -> Bool[Tensor, "n s s"]:
    """Pixels next to another object, or to a surface of clearly another colour (sum of channel differences)."""
    edge = torch.zeros_like(slot, dtype=torch.bool)
    for axis in (1, 2):
        a, b = slice(None, -1), slice(1, None)
        one = (slice(None),) * axis
        apart = (slot[(*one, a)] != slot[(*one, b)]) | (
            (colour[(*one, a)] - colour[(*one, b)]).abs().sum(-1) > contrast
        )
        edge[(*one, a)] |= apart
        edge[(*one, b)] |= apart
    return edge


def background_gradient(layouts: Layouts, size: int) -> Float[Tensor, "n s s 3"]:
    """A gradient between the two background colours."""
    across = pixel_centres(size, device=layouts.background_angle.device)
    angle = layouts.background_angle.deg2rad()[:, None, None]
    share = 0.5 + 0.35 * (angle.cos() * across - angle.sin() * across[:, None])
    return torch.lerp(layouts.background[:, None, None, 0], layouts.background[:, None, None, 1], share[..., None])
