"""Splats against an oracle that loops over pixels and splats, and their gradients against differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from splat_clouds import CAMERAS, F64, SIZE, Given, made, plain, view
from splat_oracle import Camera, render

import modeseek as ms
from modeseek.generators.splats import Splats
from modeseek.generators.splats.starts import StartingSplats


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_images_opacities_and_depths_are_those_of_the_oracle(seed):
    splats = made(30, seed)
    rendering = splats(view())
    for i, camera in enumerate(CAMERAS):
        image, opacity, depth = render(plain(splats), camera, SIZE, np.ones(3))
        assert np.abs(rendering.image[i].detach().permute(1, 2, 0).numpy() - image).max() <= 1e-6
        assert np.abs(rendering.opacity[i, 0].detach().numpy() - opacity).max() <= 1e-6
        assert np.abs(rendering.depth[i, 0].detach().numpy() - depth).max() <= 1e-5
    assert 0.05 < float(rendering.opacity.detach().mean()) < 0.95


def test_gradients_are_those_of_differences():
    splats, g = made(12, 4), torch.Generator().manual_seed(1)
    cameras = view(CAMERAS[:2])
    weights = torch.randn(2, 5, SIZE, SIZE, generator=g, dtype=F64)

    def value() -> torch.Tensor:
        rendering = splats(cameras)
        return (torch.cat([rendering.image, rendering.opacity, rendering.depth], 1) * weights).sum()

    value().backward()
    for name in ("means", "quats", "log_scales", "logits", "colors"):
        parameter = getattr(splats, name)
        for _ in range(4):
            direction = torch.randn(parameter.shape, generator=g, dtype=F64)
            slopes = []
            for step in (1e-6, -1e-6):
                with torch.no_grad():
                    parameter += step * direction
                    slopes.append(float(value()))
                    parameter -= step * direction
            expected = (slopes[0] - slopes[1]) / 2e-6
            # a splat's edge, where its opacity is 1 / 255, jumps by as much: no direction may cross one
            assert float((parameter.grad * direction).sum()) == pytest.approx(expected, rel=1e-5, abs=1e-5), name


def test_normals_look_at_the_camera_along_the_thinnest_axis():
    splats = made(20, 3)
    rendering = splats(view(normals=True))
    assert rendering.normal is not None and rendering.normal.shape == (3, 3, SIZE, SIZE)
    thin = StartingSplats(
        torch.zeros(1, 3, dtype=F64),
        torch.tensor([[1.0, 0, 0, 0]], dtype=F64),
        torch.tensor([[0.5, 0.5, 0.01]], dtype=F64),
        torch.tensor([0.9], dtype=F64),
        torch.full((1, 3), 0.5, dtype=F64),
    )
    disc = Splats(1, Given(thin), rng=ms.Streams(0), size=SIZE, like=torch.empty(0, dtype=F64))
    for azimuth, sign in ((10.0, 1.0), (190.0, -1.0)):
        normal = disc(view([Camera(azimuth, 0.0, 3.0, 40.0)], normals=True)).normal
        assert torch.allclose(normal[0, :, SIZE // 2, SIZE // 2], torch.tensor([0.0, 0.0, sign], dtype=F64), atol=1e-12)


def test_two_runs_are_equal_to_the_bit_and_views_are_independent():
    splats = made()
    renderings, grads = [], []
    for _ in range(2):
        splats.zero_grad()
        rendering = splats(view())
        rendering.image.square().sum().backward()
        renderings.append(rendering.image.detach())
        grads.append([p.grad.clone() for p in splats.parameters()])
    assert torch.equal(*renderings) and all(map(torch.equal, *grads))
    alone = splats(view(CAMERAS[1:2])).image[0]
    assert torch.allclose(alone, renderings[0][1], rtol=0, atol=1e-11)


def test_images_beyond_the_16_bits_of_the_sort_and_empty_ones():
    splats = made(8, 5)
    large = splats(view(CAMERAS[:1], size=300)).image[0].detach()
    small = splats(view(CAMERAS[:1], size=100)).image[0].detach()
    pooled = torch.nn.functional.avg_pool2d(large, 3)
    assert (pooled - small).abs().mean() < 5e-3
    away = splats(view([Camera(0.0, 0.0, 500.0, 5.0)], size=8))
    away.image.sum().backward()
    behind = splats(view([Camera(0.0, 0.0, 1e-3, 60.0)], size=8))
    assert away.image.isfinite().all() and behind.image.isfinite().all()
    with torch.no_grad():
        splats.logits.fill_(-20.0)
    splats.zero_grad()
    empty = splats(view())
    empty.image.sum().backward()
    assert (empty.image == 1).all() and (empty.depth == 0).all()
    assert all((p.grad == 0).all() for p in (splats.means, splats.logits, splats.colors))


def test_a_small_image_shows_an_object_as_large_as_a_large_image_does():
    """The low-pass of a third of a pixel widens small splats, but their opacities are lowered by as much."""
    splats = made(8, 5)
    with torch.no_grad():
        splats.log_scales.fill_(-4.0)
        splats.logits.fill_(-2.0)
    small, large = (splats(view(CAMERAS[:1], size=size)).opacity.detach().mean() for size in (64, 512))
    assert float(small) == pytest.approx(float(large), rel=0.1)
