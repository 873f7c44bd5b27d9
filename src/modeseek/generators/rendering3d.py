"""Renderings of 3D generators: opacity, depth, normals and ray samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from modeseek.generators.base import Rendering


@dataclass(frozen=True)
class RaySamples:
    """Samples along the m rays of a batch that hit the volume; all differentiable.

    Attributes:
        ray: index of the ray among the b * h * w pixels, in row-major order.
        direction: unit direction of the ray, away from the camera.
        weights: rendering weight of each of s samples: transmittance times opacity.
        near: distance from the camera to the start of each sample's interval, world units.
        far: distance from the camera to the end of each sample's interval, world units.
        normals: function that computes the unit normals at every sample, pointing out of the surface; costs nothing
            until it is called.
    """

    ray: Int[Tensor, "m"]
    direction: Float[Tensor, "m 3"]
    weights: Float[Tensor, "m s"]
    near: Float[Tensor, "m s"]
    far: Float[Tensor, "m s"]
    normals: Callable[[], Float[Tensor, "m s 3"]]


@dataclass(frozen=True)
class Rendering3D(Rendering):
    """Rendering of a volume or a surface.

    Attributes:
        opacity: accumulated opacity of each pixel, in [0, 1].
        depth: expected depth along the viewing axis of the foreground, world units; 0 where opacity is 0.
        normal: expected normal of the foreground, world axes; 0 where opacity is 0; None unless rendered.
        ray_samples: samples along the rays; None for a surface.
        grids: parameter grids of the volume, (1, c, *size) each, for penalties on them; empty for networks.
    """

    opacity: Float[Tensor, "b 1 h w"]
    depth: Float[Tensor, "b 1 h w"]
    normal: Float[Tensor, "b 3 h w"] | None = None
    ray_samples: RaySamples | None = None
    grids: tuple[Tensor, ...] = ()
