"""Compositing of splats by the CUDA kernels of gsplat, where it is installed."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.camera import Cameras
from modeseek.generators.splats.projection import LOW_PASS


@cache
def _installed() -> bool:
    return find_spec("gsplat") is not None


def uses_gsplat(means: Tensor) -> bool:
    """Whether gsplat renders these splats: float32 on CUDA, and it is installed (`pip install 'modeseek[splats]'`)."""
    return means.is_cuda and means.dtype == torch.float32 and _installed()


def composite_gsplat(
    means: Float[Tensor, "n 3"],
    quats: Float[Tensor, "n 4"],
    scales: Float[Tensor, "n 3"],
    opacity: Float[Tensor, "n"],
    values: Float[Tensor, "b n c"],
    cameras: Cameras,
    size: int,
) -> Float[Tensor, "b s s c"]:
    """Projects and composites splats by gsplat (Ye et al. 2024, arXiv 2409.06765), which has no CPU path.

    The same projection, low-pass and thresholds as `project` and `composite`, except that a pixel ends at a
    transmittance of 0.0001, so that values differ by about as much. Its sums have no fixed order: on CUDA a resumed run
    agrees with an uninterrupted one, but not to the bit.

    Args:
        means: centres, world units.
        quats: rotations, quaternions w, x, y, z.
        scales: standard deviations along the rotated axes, world units, > 0.
        opacity: peak opacities, in [0, 1].
        values: values to composite as each camera sees them: colours, depths ...
        cameras: b cameras.
        size: side of the images, pixels.
    """
    rasterization = import_module("gsplat").rasterization  # no package of every installation

    position, right, up, forward = cameras.frame
    rotation = torch.stack([right, -up, forward], 1)  # columns, rows, depth
    world = means.new_zeros(len(cameras), 4, 4)
    world[:, :3, :3] = rotation
    world[:, :3, 3] = -(rotation @ position[..., None]).squeeze(-1)
    world[:, 3, 3] = 1
    intrinsics = means.new_zeros(len(cameras), 3, 3)
    intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = size / (2 * (cameras.fov / 2).deg2rad().tan())
    intrinsics[:, 0, 2] = intrinsics[:, 1, 2] = size / 2  # the centre of the first pixel is at 0.5
    intrinsics[:, 2, 2] = 1
    maps, _, _ = rasterization(
        means,
        quats,
        scales,
        opacity,
        values,
        world,
        intrinsics,
        size,
        size,
        eps2d=LOW_PASS,
        packed=False,
        rasterize_mode="antialiased",  # opacities keep the integral of each splat under the low-pass
    )
    return maps
