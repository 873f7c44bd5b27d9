"""Static scenes and their rendered priors against ray-sphere intersection and reprojection."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import modeseek as ms
from modeseek.datasets.scenes.lighting import OVERHEAD_LIGHT, Light
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.rendered_prior import RenderedPrior, rendered_prior
from modeseek.datasets.scenes.static_scene import FOV, MAX_RADIUS, StaticScene, turntable
from modeseek.generators.base import View
from modeseek.generators.camera import Cameras, CameraView


def cameras(azimuth: list[float], elevation: list[float], distance: float = 3.5, fov: float = FOV) -> Cameras:
    n = len(azimuth)
    return Cameras(torch.tensor(azimuth), torch.tensor(elevation), torch.full((n,), distance), torch.full((n,), fov))


def eyes(azimuth: float, elevation: float, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Where a camera stands, and its (right, up, forward), by rotation matrices."""
    a, e = math.radians(azimuth), math.radians(elevation)
    about_y = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(e), math.sin(e)], [0, -math.sin(e), math.cos(e)]])
    turn = about_y @ about_x
    return turn @ [0, 0, distance], (turn @ np.diag([1.0, 1.0, -1.0])).T


def lift(depth: np.ndarray, azimuth: float, elevation: float, distance: float = 3.5) -> np.ndarray:
    """World points of pixels with depth, (s, s, 3)."""
    s = len(depth)
    eye, (right, up, forward) = eyes(azimuth, elevation, distance)
    ticks = ((np.arange(s) + 0.5) / s * 2 - 1) * math.tan(math.radians(FOV) / 2)
    return eye + depth[..., None] * (forward + ticks[None, :, None] * right - ticks[:, None, None] * up)


def test_a_ball_is_where_rays_meet_it() -> None:
    angles = [(0.0, 0.0), (130.0, 25.0), (-77.0, -15.0), (10.0, 80.0)]
    size, radius = 41, 0.6
    renders = StaticScene.from_caption("a red sphere").render(
        cameras(*map(list, zip(*angles, strict=True))), size, samples=1
    )
    ticks = ((np.arange(size) + 0.5) / size * 2 - 1) * math.tan(math.radians(FOV) / 2)
    length = np.sqrt(1 + ticks[None, :] ** 2 + ticks[:, None] ** 2)
    cosine = 1 / length
    root = radius**2 - 3.5**2 * (1 - cosine**2)
    want = np.where(root > 0, (3.5 * cosine - np.sqrt(np.maximum(root, 0))) * cosine, 0.0)
    for i in range(len(angles)):
        edge = np.abs(root) < 8e-3  # a tenth of a pixel
        assert np.array_equal((renders.mask[i, 0].numpy() > 0)[~edge], (root > 0)[~edge])
        assert np.abs(renders.depth[i, 0].numpy() - want)[root > 0.05].max() < 4e-3


@pytest.mark.parametrize("caption", ["a red chair", "a blue duck", "a green cone on a red mug", "a large black cube"])
def test_the_box_is_centred_and_all_is_within_the_ball(caption: str) -> None:
    angles = [(0.0, 0.0), (90.0, 0.0), (180.0, 0.0), (-90.0, 0.0), (0.0, 90.0), (0.0, -90.0)]
    scene = StaticScene.from_caption(caption)
    renders = scene.render(cameras(*map(list, zip(*angles, strict=True))), 64, samples=1)
    points = np.concatenate(
        [
            lift(d, *a)[m > 0]
            for d, m, a in zip(renders.depth[:, 0].numpy(), renders.mask[:, 0].numpy(), angles, strict=True)
        ]
    )
    pixel = 3.5 * math.tan(math.radians(FOV) / 2) / 32
    assert np.abs(points.max(0) + points.min(0)).max() < 2 * pixel
    farthest = float(np.linalg.norm(points, axis=1).max())
    # A hollow mug is bounded by the whole ring of its handle.
    assert farthest < scene.bounding_radius + 0.01 < MAX_RADIUS + 0.011 and (
        "mug" in caption or farthest > scene.bounding_radius - 2 * pixel
    )


def test_what_is_on_what_does_not_depend_on_the_camera() -> None:
    angles = [(0.0, 10.0), (100.0, 10.0), (215.0, 40.0)]
    renders = StaticScene.from_caption("a red torus on a blue cube").render(
        cameras(*map(list, zip(*angles, strict=True))), 64, 1
    )
    heights = []
    for i, angle in enumerate(angles):
        y = lift(renders.depth[i, 0].numpy(), *angle)[..., 1]
        ids = renders.ids[i, 0].numpy()
        heights.append((y[ids == 1].min(), y[ids == 2].max(), y[ids == 1].max()))
    lowest, seat, top = np.array(heights).T
    assert np.ptp(seat) < 0.02 and np.ptp(top) < 0.04 and (lowest > seat - 0.02).all()


@pytest.mark.parametrize(
    ("light", "agree"), [(OVERHEAD_LIGHT, True), (Light((0.6, 0.5, 0.7), fixed=True), True), (Light(), False)]
)
def test_under_a_fixed_lamp_a_point_has_one_colour(light: Light, agree: bool) -> None:
    one, other = (20.0, 15.0), (65.0, 30.0)
    renders = StaticScene.from_caption("a red cube", light).render(cameras([20.0, 65.0], [15.0, 30.0]), 96, samples=1)
    points = lift(renders.depth[0, 0].numpy(), *one)
    eye, (right, up, forward) = eyes(*other, 3.5)
    away = points - eye
    deep = away @ forward
    tangent = math.tan(math.radians(FOV) / 2)
    column = np.round(((away @ right / deep / tangent + 1) * 96 - 1) / 2).astype(int).clip(0, 95)
    row = np.round(((-away @ up / deep / tangent + 1) * 96 - 1) / 2).astype(int).clip(0, 95)
    same = (renders.mask[0, 0].numpy() > 0) & (np.abs(renders.depth[1, 0].numpy()[row, column] - deep) < 0.02)
    a, b = renders.image[0].permute(1, 2, 0).numpy(), renders.image[1].permute(1, 2, 0).numpy()[row, column]
    apart = np.median(np.abs(a - b).max(-1)[same])
    assert same.sum() > 500 and (apart < 0.004) == agree


def test_transforms_are_similarities() -> None:
    scene = StaticScene.from_caption("a blue robot head")
    seen = scene.transformed(scale=1.3).render(cameras([40.0], [20.0], distance=3.5 * 1.3), 48)
    plain = scene.render(cameras([40.0], [20.0]), 48)
    assert (seen.image - plain.image).abs().mean() < 1e-3
    turned = scene.transformed(yaw=70.0).render(cameras([110.0], [20.0]), 48)
    assert (turned.image - plain.image).abs().mean() < 1e-3
    stacked = StaticScene.from_caption("a blue robot head on a red mug")
    spun = stacked.transformed(yaw=70.0).render(cameras([110.0], [20.0]), 48)
    assert (spun.image - stacked.render(cameras([40.0], [20.0]), 48).image).abs().mean() < 1e-3
    ball = StaticScene.from_caption("a red sphere")
    high, low = (s.render(cameras([0.0], [0.0]), 65, 1).mask[0, 0] for s in (ball.transformed(lift=0.2), ball))
    middles = [(m.sum(1) * torch.arange(65)).sum() / m.sum() for m in (low, high)]
    rise = 0.2 / (3.5 * math.tan(math.radians(FOV) / 2)) * 65 / 2
    assert (middles[0] - middles[1]).item() == pytest.approx(rise, rel=0.05)


def test_refused_captions_and_settings() -> None:
    for wrong, words in (
        ("a red cone beside a blue cube", "must not depend on the camera"),
        ("a red cone behind a blue cube", "must not depend on the camera"),
        ("a red cone, front view", "must have no view"),
        ("a red unicorn", "in the grammar of the scenes"),
    ):
        with pytest.raises(ValueError, match=words):
            StaticScene.from_caption(wrong)
    with pytest.raises(ValueError, match="colour in"):
        StaticScene.from_caption("a red cone", background=(0.0, 2.0, 0.0))
    with pytest.raises(ValueError, match="above 0"):
        StaticScene.from_caption("a red cone").transformed(scale=0.0)
    with pytest.raises(ValueError, match="at least one"):
        turntable(0)
    with pytest.raises(ValueError, match="length above 0"):
        Light((0.0, 0.0, 0.0))
    assert all(StaticScene.from_caption(f"a red {name}").bounding_radius <= MAX_RADIUS + 1e-6 for name in OBJECT_TYPES)


def small_prior(bins: int) -> RenderedPrior:
    return rendered_prior(
        StaticScene.from_caption("a red bear head", OVERHEAD_LIGHT), 16, bins=bins, azimuths=12, elevations=2
    )


PRIORS = {bins: small_prior(bins) for bins in (1, 4, 6, 12)}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([1, 4, 6, 12]), st.floats(-800, 800), st.floats(-90, 90))
def test_labels_are_the_nearest_bin_and_the_band(bins: int, azimuth: float, elevation: float) -> None:
    centres = [360 * k / bins for k in range(bins)]
    off = [abs((azimuth - c + 180) % 360 - 180) for c in centres]
    if bins > 1 and sorted(off)[1] - sorted(off)[0] < 1e-3 or min(abs(elevation - b) for b in (7.5, 30.0)) < 1e-4:
        return
    band = 0 if elevation < 7.5 else 1 if elevation < 30 else 2
    one = PRIORS[bins].label(
        torch.tensor([azimuth], dtype=torch.float64), torch.tensor([elevation], dtype=torch.float64)
    )
    assert one.item() == band * bins + int(np.argmin(off))


def test_it_denoises_to_the_renders_of_its_label() -> None:
    one = PRIORS[4]
    # Azimuths -30, 0 and 30 are the three of the front's bin; 12.5 and 23.75 are the heights of the middle band.
    where = [(a, e) for e in (13.125, 24.375) for a in (-30.0, 0.0, 30.0)]
    truth = one.codec.encode(one.scene.render(cameras(*map(list, zip(*where, strict=True))), 16).image)
    label = torch.tensor([4])
    mean = one.prior.at(torch.zeros(1, 3, 16, 16), torch.ones(1), torch.full((1,), 1e4), label).z
    assert torch.allclose(mean, truth.mean(0, keepdim=True), atol=2e-3)
    nearest = one.prior.at(truth[4:5] + 0.02, torch.ones(1), torch.full((1,), 0.05), label).z
    assert torch.allclose(nearest, truth[4:5], atol=1e-4)
    everything = one.prior.at(torch.zeros(1, 3, 16, 16), torch.ones(1), torch.full((1,), 1e4), torch.tensor([-1])).z
    assert torch.allclose(everything, one.prior.data.mean(0, keepdim=True), atol=2e-3)
    assert one.prior.data.min() >= -1 and one.prior.data.max() <= 1


def test_fewer_bins_hold_the_same_images() -> None:
    def rows(bins: int) -> list[tuple[float, ...]]:
        return sorted(tuple(round(x, 4) for x in row) for row in PRIORS[bins].prior.data.flatten(1)[:, ::97].tolist())

    assert len(rows(4)) == 12 * 2 * 3
    # 4 and 12 bins share their azimuths (odd numbers in a bin); their sets are one and the same.
    assert rows(4) == rows(12)


def test_conditions_of_a_view() -> None:
    one = PRIORS[4]
    view = CameraView((0, 1, 2), cameras([0.0, 92.0, 181.0], [0.0, 10.0, 50.0]), 16)
    conditions = one.conditions(view)
    assert (
        conditions.positive.tolist() == [0, 5, 10] and conditions.null is not None and conditions.null.tolist() == [-1]
    )
    guided = ms.Guided(one.prior, 3.0)
    assert guided.at(torch.zeros(3, 3, 16, 16), torch.ones(3), torch.ones(3), conditions).z.shape == (3, 3, 16, 16)
    with pytest.raises(ValueError, match="needs a CameraView"):
        one.conditions(View((0,)))
    for wrong in ({"bins": 5}, {"bins": 0}):
        with pytest.raises(ValueError, match="must divide azimuths"):
            rendered_prior(one.scene, 8, azimuths=12, **wrong)
    with pytest.raises(ValueError, match="ascending"):
        rendered_prior(one.scene, 8, bands=((10.0, 30.0), (0.0, 10.0)))
