"""Volume rendering against closed forms, brute force and finite differences."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from volumes import F64, POSES, AnalyticVolume, cameras, pixel_rays, rng, tiny

import modeseek as ms
from modeseek.generators.nerf import Background, Dense, NeRF
from modeseek.generators.nerf.composite import composite


@pytest.mark.parametrize("place", POSES)
def test_a_uniform_ball_equals_its_closed_form(place: tuple[float, float, float, float]) -> None:
    """Opacity 1 - exp(-k L), depth the mean of the truncated exponential, for cameras outside and inside."""
    k, radius, size = 1.7, 0.8, 7
    nerf = NeRF(AnalyticVolume(lambda p: torch.full_like(p[:, 0], k)), size=size, samples=400, radius=radius)
    solid = nerf(nerf.view_from(cameras(place)))
    eye, rays, cosine = pixel_rays(*place, size)
    along = -(rays @ eye)
    inner = along**2 - eye @ eye + radius**2
    near = np.maximum(along - np.sqrt(np.maximum(inner, 0)), 0)
    chord = np.where(inner > 0, along + np.sqrt(np.maximum(inner, 0)) - near, 0)
    opacity = 1 - np.exp(-k * chord)
    assert np.allclose(solid.opacity[0, 0].detach(), opacity, atol=1e-12)
    mean = near + 1 / k - chord * np.exp(-k * chord) / np.maximum(opacity, 1e-30)
    want = np.where(opacity > 0.01, mean * cosine, 0)
    assert np.allclose(solid.depth[0, 0].detach()[opacity > 0.01], want[opacity > 0.01], atol=1e-5)
    assert (solid.depth[0, 0][torch.from_numpy(opacity == 0)] == 0).all()
    assert len(solid.ray_samples.ray) == (chord > 0).sum()
    assert np.allclose(solid.ray_samples.direction, rays.reshape(-1, 3)[solid.ray_samples.ray.numpy()], atol=1e-7)


def test_colours_equal_fine_quadrature() -> None:
    def density(p: np.ndarray) -> np.ndarray:
        return 6 * np.exp(-8 * ((p - [0.2, -0.1, 0.3]) ** 2).sum(-1)) + 3 * (p[..., 2] < -0.3)

    def colour(p: np.ndarray) -> np.ndarray:
        return 0.5 + 0.4 * np.sin(3 * p + [0, 1, 2])

    known = AnalyticVolume(
        lambda p: torch.from_numpy(density(p.numpy())), lambda p: torch.from_numpy(colour(p.numpy()))
    )
    nerf = NeRF(known, size=4, samples=600, background=Background(colour=(0.2, 0.5, 0.9), like=F64))
    image = nerf(nerf.view_from(cameras(POSES[1]))).image[0]
    eye, rays, _ = pixel_rays(*POSES[1], 4)
    for row, column in ((1, 1), (1, 2), (2, 1), (2, 2), (0, 0)):
        ray, light, got = rays[row, column], 1.0, np.zeros(3)
        edges = np.linspace(0.5, 5.0, 20001)
        for t, length in zip((edges[1:] + edges[:-1]) / 2, np.diff(edges), strict=True):
            point = eye + t * ray
            if point @ point < 1:
                kept = np.exp(-density(point) * length)
                got += light * (1 - kept) * colour(point)
                light *= kept
        assert np.allclose(image[:, row, column].detach(), got + light * np.array([0.2, 0.5, 0.9]), atol=2e-3)


def test_weights_equal_the_recursion() -> None:
    depth = 3 * torch.rand(5, 9, generator=rng(), dtype=torch.float64) ** 4
    weights, opacity = composite(depth)
    for row in range(5):
        light = 1.0
        for i in range(9):
            kept = math.exp(-depth[row, i].item())
            assert weights[row, i].item() == pytest.approx(light * (1 - kept), abs=1e-14)
            light *= kept
        assert opacity[row].item() == pytest.approx(1 - light, abs=1e-14)
    thin = composite(torch.full((1, 3), 1e-9))  # in float32, where 1 - exp(-1e-9) is 0
    assert torch.allclose(thin[0], torch.full((1, 3), 1e-9)) and thin[1].item() == pytest.approx(3e-9, rel=1e-4)


@pytest.mark.parametrize("radius", [0.7, 1.3])
def test_a_point_is_rendered_at_its_projection_and_depth(radius: float) -> None:
    spot = torch.tensor([0.35, 0.2, -0.25], dtype=torch.float64)
    nerf = NeRF(
        AnalyticVolume(lambda p: 1e4 * ((radius * p - spot).norm(dim=1) < 0.12)), size=65, samples=200, radius=radius
    )
    for place in POSES[:3]:
        one = cameras(place)
        solid, frame = nerf(nerf.view_from(one)), one.frame
        toward = spot - frame.position[0]
        ahead = (toward @ frame.forward[0]).item()
        half = math.tan(math.radians(place[3] / 2)) * ahead
        column = ((toward @ frame.right[0]).item() / half + 1) / 2 * 65 - 0.5
        row = (1 - (toward @ frame.up[0]).item() / half) / 2 * 65 - 0.5
        seen = (solid.opacity[0, 0] > 0.5).nonzero().double()
        assert seen.mean(0).tolist() == pytest.approx([row, column], abs=0.6)
        assert solid.depth[0, 0, round(row), round(column)].item() == pytest.approx(ahead - 0.12, abs=0.02)


def test_gradients_equal_finite_differences() -> None:
    nerf = tiny()
    view = nerf.view_from(cameras(POSES[1]))

    def render(grid: Tensor) -> tuple[Tensor, ...]:
        solid = torch.func.functional_call(nerf, {"volume.grid_of.0": grid}, (replace(view, normals=True),))
        return solid.image, solid.opacity, solid.depth, solid.normal

    assert torch.autograd.gradcheck(
        render, (nerf.volume.grid.detach().clone().requires_grad_(),), atol=1e-6, fast_mode=True
    )


def test_normals_of_a_sphere() -> None:
    nerf = NeRF(AnalyticVolume(lambda p: 40 * torch.sigmoid(60 * (0.6 - p.norm(dim=1)))), size=21, samples=100)
    place = POSES[1]
    solid = nerf(nerf.view_from(cameras(place), normals=True))
    eye, rays, _ = pixel_rays(*place, 21)
    along = -(rays @ eye)
    inner = along**2 - eye @ eye + 0.57**2
    hit = inner > 0.1
    point = eye + (along - np.sqrt(np.maximum(inner, 0)))[..., None] * rays
    want = point / np.linalg.norm(point, axis=-1, keepdims=True)
    got = solid.normal[0].permute(1, 2, 0).detach().numpy()
    assert hit.sum() > 40 and ((got * want).sum(-1)[hit] > 0.98).all()
    assert (solid.normal[0][:, torch.from_numpy(solid.opacity[0, 0].detach().numpy() == 0)] == 0).all()
    inside = solid.ray_samples.normals()
    assert inside.shape == (*solid.ray_samples.weights.shape, 3)
    assert nerf(nerf.view_from(cameras(place))).normal is None


def test_normals_have_gradients() -> None:
    nerf = tiny(4, normals=True)
    solid = nerf(nerf.view(1, rng()))
    facing = (solid.ray_samples.normals() * solid.ray_samples.direction[:, None]).sum(-1).clamp(min=0)
    (solid.ray_samples.weights.detach() * facing.square()).sum().backward()
    assert nerf.volume.grid.grad[0, 0].abs().max() > 0 and nerf.volume.grid.grad[0, 1:].abs().max() == 0


@settings(max_examples=15)
@given(azimuth=st.floats(-180, 180), elevation=st.floats(-80, 80), fov=st.floats(20, 80))
def test_a_full_turn_changes_nothing_and_a_mirrored_volume_mirrors_the_image(
    azimuth: float, elevation: float, fov: float
) -> None:
    nerf = tiny(6, size=5)
    image = nerf(nerf.view_from(cameras((azimuth, elevation, 2.5, fov)))).image
    assert torch.allclose(nerf(nerf.view_from(cameras((azimuth + 360, elevation, 2.5, fov)))).image, image, atol=1e-9)
    with torch.no_grad():
        nerf.volume.grid.copy_(nerf.volume.grid.flip(-1))
    mirrored = nerf(nerf.view_from(cameras((-azimuth, elevation, 2.5, fov)))).image
    assert torch.allclose(mirrored.flip(-1), image, atol=1e-9)
    assert image.std() > 1e-3


@pytest.mark.parametrize("kind", ["constant", "random", "learned"])
def test_an_item_is_the_same_in_every_batch(kind: str) -> None:
    """Random draws agree bit for bit, renders up to rounding."""
    nerf = NeRF(Dense((8,), like=F64), size=9, samples=12, background=Background(kind, like=F64))
    streams = ms.Streams(2, 5, use="view")
    view = nerf.view(4, streams)
    whole = nerf(view)
    for item in range(4):
        one = nerf.view(1, streams.at(5, (item,), "view"))
        assert one.items == (item,) and torch.equal(one.jitter[0], view.jitter[item])
        alone = nerf(one)
        assert torch.allclose(alone.image[0], whole.image[item], atol=1e-12, rtol=0)
        assert torch.allclose(alone.depth[0], whole.depth[item], atol=1e-12, rtol=0)
    assert torch.equal(nerf(view).image, whole.image)
    assert view.jitter.std() > 0.2 and not torch.equal(view.jitter[0], view.jitter[1])
    first = torch.rand(1, generator=streams.at(5, (0,), "view").generator(0, torch.device("cpu")))
    assert view.jitter[0, 0, 0] != first  # the first draw is the camera's


def test_backgrounds() -> None:
    nothing = AnalyticVolume(lambda p: torch.zeros_like(p[:, 0]))
    views = ms.Streams(0, 3)
    plain = NeRF(nothing, size=4, background=Background(colour=(0.1, 0.2, 0.3), like=F64))
    image = plain(plain.view(2, views)).image
    assert torch.allclose(image, torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)[:, None, None].expand_as(image))
    several = NeRF(nothing, size=4, background=Background("random", like=F64))
    colours = torch.stack([several(several.view(2, views.at(step))).image for step in range(16)]).flatten(0, 1)
    assert torch.equal(colours, colours[:, :, :1, :1].expand_as(colours))
    colours = colours[..., 0, 0]
    assert colours.min() < 0.1 and colours.max() > 0.9 and colours.std(0).min() > 0.2
    assert (several(several.view_from(several.orbit.ring(1))).image == 1).all()  # views without random draws are white
    learned = NeRF(nothing, size=4, background=Background("learned", (0.5, 0.5, 0.5), like=F64))
    assert torch.allclose(learned(learned.view_from(learned.orbit.ring(1))).image, image.new_tensor(0.5))
    optimizer = torch.optim.Adam(learned.parameters(), lr=0.5)
    view = learned.view_from(learned.orbit.ring(4))
    want = torch.tensor([0.0, 0.3, 0.6, 0.9], dtype=torch.float64)[:, None, None, None]
    for _ in range(30):
        optimizer.zero_grad()
        loss = (learned(view).image - want).square().mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02  # a uniform colour leaves 0.11
