"""Splats rendered by gsplat: what it is given, by an implementation of its interface, and the real one on CUDA."""

from __future__ import annotations

import math
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from splat_clouds import CAMERAS, SIZE, made, view
from splat_oracle import Camera

from modeseek.generators.splats.gsplat import uses_gsplat


def rasterization(
    means, quats, scales, opacities, colors, viewmats, Ks, width, height, eps2d=0.3, packed=True,
    rasterize_mode="classic",
) -> tuple[torch.Tensor, None, None]:  # fmt: skip
    """gsplat's interface in loops: world-to-camera matrices (x right, y down, z ahead), intrinsics, centres at 0.5."""
    assert colors.shape[:2] == (len(viewmats), len(means)) and not packed and rasterize_mode == "antialiased"
    arrays = [part.detach().double().numpy() for part in (means, quats, scales, opacities, colors, viewmats, Ks)]
    means, quats, scales, opacities, colors, viewmats, Ks = arrays
    maps = np.zeros((len(viewmats), height, width, colors.shape[-1]))
    for image, matrix, k, values in zip(maps, viewmats, Ks, colors, strict=True):
        splats = []
        for mean, quat, scale, opacity, value in zip(means, quats, scales, opacities, values, strict=True):
            x, y, z = matrix[:3, :3] @ mean + matrix[:3, 3]
            if z < 0.01:
                continue
            half = width / k[0, 0] / 2
            u, v = (np.clip(c / z, -1.3 * half, 1.3 * half) for c in (x, y))
            jacobian = np.array([[k[0, 0] / z, 0, -k[0, 0] * u / z], [0, k[1, 1] / z, -k[1, 1] * v / z]])
            spread = jacobian @ matrix[:3, :3] @ Rotation.from_quat(np.roll(quat, -1)).as_matrix() * scale
            sharp = spread @ spread.T
            inverse = np.linalg.inv(sharp + eps2d * np.eye(2))
            opacity *= math.sqrt(np.linalg.det(sharp) * np.linalg.det(inverse))
            centre = np.array([k[0, 0] * x / z + k[0, 2], k[1, 1] * y / z + k[1, 2]])
            splats.append((z, centre, inverse, opacity, value))
        for row, column in np.ndindex(height, width):
            passing = 1.0
            for _, centre, inverse, opacity, value in sorted(splats, key=lambda splat: splat[0]):
                offset = np.array([column + 0.5, row + 0.5]) - centre
                alpha = min(0.999, opacity * math.exp(-0.5 * offset @ inverse @ offset))
                if alpha >= 1 / 255:
                    image[row, column] += passing * alpha * value
                    passing *= 1 - alpha
    return torch.from_numpy(maps), None, None


def test_gsplat_is_given_what_the_twin_renders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cameras, intrinsics, quaternions and values by its interface give the same images, depths and normals."""
    splats = made(12, 1)
    cameras = view((*CAMERAS[:1], Camera(-75.0, -35.0, 1.1, 50.0)), normals=True)
    with torch.no_grad():
        expected = splats(cameras)
        monkeypatch.setitem(sys.modules, "gsplat", SimpleNamespace(rasterization=rasterization))
        monkeypatch.setattr("modeseek.generators.splats.splats.uses_gsplat", lambda means: True)
        found = splats(cameras)
    for name in ("image", "opacity", "depth", "normal"):
        assert torch.allclose(getattr(found, name), getattr(expected, name), rtol=0, atol=1e-9), name
    assert found.image.shape == (2, 3, SIZE, SIZE)


class OnCuda(torch.Tensor):
    """A tensor that says it lies on CUDA."""

    is_cuda = True


def test_it_needs_cuda_and_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modeseek.generators.splats.gsplat._installed", lambda: True)
    on_cuda = torch.zeros(1, 3).as_subclass(OnCuda)
    assert uses_gsplat(on_cuda) and not uses_gsplat(torch.zeros(1, 3, dtype=torch.float64).as_subclass(OnCuda))
    assert not uses_gsplat(torch.zeros(1, 3))
    monkeypatch.setattr("modeseek.generators.splats.gsplat._installed", lambda: False)
    assert not uses_gsplat(on_cuda)


@pytest.mark.skipif(not torch.cuda.is_available() or find_spec("gsplat") is None, reason="needs CUDA and gsplat")
def test_gsplat_agrees_with_the_twin() -> None:
    """Images within 1e-4 and gradients within 1 %, in float32."""
    splats, cameras = made(30, 0).float(), view(CAMERAS[:2])
    expected = splats(cameras)
    expected.image.square().sum().backward()
    grads = {name: parameter.grad.clone() for name, parameter in splats.named_parameters()}
    splats = splats.cuda()
    splats.zero_grad()
    assert uses_gsplat(splats.means)
    found = splats(cameras)
    found.image.square().sum().backward()
    for name in ("image", "opacity"):
        assert (getattr(found, name).cpu() - getattr(expected, name)).abs().max() <= 1e-4, name
    for name, parameter in splats.named_parameters():
        error = (parameter.grad.cpu() - grads[name]).norm()
        assert error <= 0.01 * grads[name].norm(), name
