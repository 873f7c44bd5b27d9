"""Renderings of 3D generators: opacity, depth, normals and ray samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.generators.base import Rendering, View, concatenate_optional


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

    @classmethod
    def concatenate(cls, parts: Sequence[RaySamples], pixels: Sequence[int]) -> RaySamples:
        """Returns the samples of several renderings of the same number of samples per ray.

        Args:
            parts: samples of each rendering.
            pixels: number of pixels of each, b * h * w.
        """
        before = [sum(pixels[:k]) for k in range(len(pixels))]
        return cls(
            torch.cat([part.ray + first for part, first in zip(parts, before, strict=True)]),
            torch.cat([part.direction for part in parts]),
            torch.cat([part.weights for part in parts]),
            torch.cat([part.near for part in parts]),
            torch.cat([part.far for part in parts]),
            lambda: torch.cat([part.normals() for part in parts]),
        )


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

    @classmethod
    def concatenate(cls, view: View, renderings: Sequence[Rendering3D]) -> Rendering3D:
        """Returns the rendering of a view that was rendered in parts.

        Grids of a part of more items stand more often, so that a mean over the grids is one over the items.
        """
        samples = [part.ray_samples for part in renderings if part.ray_samples is not None]
        counts = [len(part.image) for part in renderings]
        least, pixels = math.gcd(*counts), [part.opacity.numel() for part in renderings]
        return replace(
            renderings[0],
            view=view,
            image=torch.cat([part.image for part in renderings]),
            opacity=torch.cat([part.opacity for part in renderings]),
            depth=torch.cat([part.depth for part in renderings]),
            normal=concatenate_optional([part.normal for part in renderings]),
            ray_samples=RaySamples.concatenate(samples, pixels) if samples else None,
            grids=tuple(grid for part, n in zip(renderings, counts, strict=True) for grid in (n // least) * part.grids),
        )
