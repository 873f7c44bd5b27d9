"""Perspective projection of 3D Gaussians to 2D ones, by the local affine approximation (EWA splatting)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.camera import Cameras

LOW_PASS = 0.3  # variance added to a projected splat, squared pixels
_LEAST_SHARE = 1e-5  # of a splat's area before the low-pass, squared: below it, no opacity reaches 1 / 255
_NEAR = 0.01  # least depth of a visible splat, world units
_FRUSTUM = 1.3  # tangent beyond which the local approximation is held, in units of that of half the field of view


@dataclass(frozen=True)
class ProjectedSplats:
    """Splats as b cameras see them.

    Attributes:
        center: centres in pixels, (column, row) of the pixels' centres; (0, 0) is the centre of the first pixel.
        cov: covariances in squared pixels, low-pass included: xx, xy, yy.
        depth: depths of the centres along the viewing axis, world units; at most 0.01 is invisible.
        share: factor of the peak opacities, in (0, 1], with which the low-pass keeps the integral of each splat.
    """

    center: Float[Tensor, "b n 2"]
    cov: Float[Tensor, "b n 3"]
    depth: Float[Tensor, "b n"]
    share: Float[Tensor, "b n"]

    @property
    def visible(self) -> Tensor:
        """Splats in front of each camera, (b, n)."""
        return self.depth > _NEAR

    @property
    def conic(self) -> Float[Tensor, "b n 3"]:
        """Inverse covariances: xx, xy, yy."""
        xx, xy, yy = self.cov.unbind(-1)
        return torch.stack([yy, -xy, xx], -1) / (xx * yy - xy * xy)[..., None]


def rotation_matrices(quats: Float[Tensor, "n 4"]) -> Float[Tensor, "n 3 3"]:
    """Returns the rotation matrices of quaternions w, x, y, z, which need not have unit norm."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def project(
    means: Float[Tensor, "n 3"], quats: Float[Tensor, "n 4"], scales: Float[Tensor, "n 3"], cameras: Cameras, size: int
) -> ProjectedSplats:
    """Projects 3D Gaussians into images (EWA splatting, Zwicker et al. 2001; Kerbl et al. 2023, arXiv 2308.04079).

    `cov = J W S W^T J^T + 0.3 I`, with W the rotation into the camera and J the Jacobian of the projection at the
    centre, held at 1.3 times the field of view for splats further outside. The low-pass of 0.3 squared pixels makes
    each splat about a pixel wide at least; opacities are lowered by the square root of the ratio of the determinants
    before and after it, so that objects are not larger in smaller images (Mip-Splatting, Yu et al. 2024,
    arXiv 2311.16493).

    Args:
        means: centres, world units.
        quats: rotations, quaternions w, x, y, z of any norm > 0.
        scales: standard deviations along the rotated axes, world units, > 0.
        cameras: b cameras.
        size: side of the images, pixels.
    """
    position, right, up, forward = cameras.frame
    axes = torch.stack([right, -up, forward], 1)  # columns, rows, depth
    local = torch.einsum("bij,bnj->bni", axes, means[None] - position[:, None])
    depth = local[..., 2]
    z = depth.clamp(min=_NEAR)
    tangent = (cameras.fov / 2).deg2rad().tan()[:, None]
    focal = size / (2 * tangent)
    slope = local[..., :2] / z[..., None]
    center = focal[..., None] * slope + (size - 1) / 2
    held = torch.minimum(torch.maximum(slope, -_FRUSTUM * tangent[..., None]), _FRUSTUM * tangent[..., None])
    spread = axes[:, None] @ (rotation_matrices(quats) * scales[:, None])[None]  # W R S, (b, n, 3, 3)
    flat = (spread[..., :2, :] - held[..., None] * spread[..., 2:, :]) * (focal / z)[..., None, None]  # J W R S
    xx, xy, yy = (flat[..., i, :].mul(flat[..., j, :]).sum(-1) for i, j in ((0, 0), (0, 1), (1, 1)))
    cov = torch.stack([xx + LOW_PASS, xy, yy + LOW_PASS], -1)
    area = torch.linalg.cross(flat[..., 0, :], flat[..., 1, :]).square().sum(-1)  # determinant before the low-pass
    share = (area / (cov[..., 0] * cov[..., 2] - xy * xy)).clamp(min=_LEAST_SHARE).sqrt()
    return ProjectedSplats(center, cov, depth, share)
