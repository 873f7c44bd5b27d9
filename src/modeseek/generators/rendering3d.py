"""What a three-dimensional generator renders beside its image: regularizers, previews and meshes live on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from modeseek.generators.base import Rendering
from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.orbit import Orbit


@dataclass(frozen=True)
class RaySamples:
    """The samples along those m rays of a batch that met the volume; all differentiable.

    Attributes:
        ray: which ray of the b * h * w, row by row.
        direction: unit, from the camera.
        weights: share of the ray's colour that each of s samples gives: transmittance times opacity.
        near: distance from the camera at which each sample's interval begins.
        far: distance at which it ends.
        normals: unit, out of the surface, at every sample; computed when it is asked for, and only then paid for.
    """

    ray: Int[Tensor, "m"]
    direction: Float[Tensor, "m 3"]
    weights: Float[Tensor, "m s"]
    near: Float[Tensor, "m s"]
    far: Float[Tensor, "m s"]
    normals: Callable[[], Float[Tensor, "m s 3"]]


@dataclass(frozen=True)
class Rendering3D(Rendering):
    """A rendered volume or surface.

    Attributes:
        opacity: share of the pixel that is not background, in [0, 1].
        depth: expected distance along the viewing axis of what is not background; 0 where there is nothing.
        normal: expected unit normal, world axes; 0 where there is nothing; None where it was not asked for.
        march: samples along the rays; None for a surface.
        grids: the volume's grids of parameters, (1, c, *size) each, for penalties on them; none for networks.
    """

    opacity: Float[Tensor, "b 1 h w"]
    depth: Float[Tensor, "b 1 h w"]
    normal: Float[Tensor, "b 3 h w"] | None = None
    ray_samples: RaySamples | None = None
    grids: tuple[Tensor, ...] = ()


@runtime_checkable
class Generator3D(Protocol):
    """A generator that can be seen from anywhere."""

    orbit: Orbit
    size: int

    def view_from(self, cameras: Cameras, size: int | None = None, normals: bool = False) -> CameraView:
        """The view of those cameras, without anything random."""
        ...

    def __call__(self, view: CameraView) -> Rendering3D:
        """What they see."""
        ...
