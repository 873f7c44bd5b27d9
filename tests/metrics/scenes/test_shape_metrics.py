"""Shape metrics against planted transforms, colours, Janus faces and closed forms."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from modeseek.datasets.scenes.caption import parse
from modeseek.datasets.scenes.lighting import OVERHEAD_LIGHT
from modeseek.datasets.scenes.objects_with_front import OBJECTS_WITH_FRONT
from modeseek.datasets.scenes.static_scene import StaticScene, turntable
from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.rendering3d import Rendering3D
from modeseek.metrics.color_difference import delta_e, lab
from modeseek.metrics.scenes.alignment import Alignment, RenderFunction, align, render_function, silhouette_overlap
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.metrics.scenes.janus import (
    classify_front_faces,
    count_front_faces,
    count_runs,
    has_front_face,
    match_front_faces,
)
from modeseek.metrics.scenes.shape_metrics import held_out_cameras, measure_shape
from modeseek.rng import Rng

N, SIDE = 24, 32
FEW = held_out_cameras(4)


def render_fn_of(scene: StaticScene) -> RenderFunction:
    def look(cameras: Cameras, size: int) -> tuple[Tensor, Tensor]:
        renders = scene.render(cameras, size, 3)
        return renders.image, renders.mask

    return look


def test_lab_of_known_colours() -> None:
    """Published values of the sRGB primaries under D65."""
    known = {
        (1.0, 1.0, 1.0): (100.0, 0.0, 0.0),
        (0.0, 0.0, 0.0): (0.0, 0.0, 0.0),
        (1.0, 0.0, 0.0): (53.24, 80.09, 67.20),
        (0.0, 1.0, 0.0): (87.73, -86.18, 83.18),
        (0.0, 0.0, 1.0): (32.30, 79.19, -107.86),
    }
    image = torch.tensor(list(known), dtype=torch.float64).T[None, :, None]
    want = torch.tensor(list(known.values()), dtype=torch.float64).T[None, :, None]
    assert (lab(image) - want).abs().max() < 0.02
    dark, darker = (torch.full((1, 3, 1, 1), v, dtype=torch.float64) for v in (0.02, 0.01))
    # Below the knee L = 903.3 Y and Y = value / 12.92.
    assert delta_e(dark, darker).item() == pytest.approx(903.3 * 0.01 / 12.92, rel=1e-3)


def test_overlap_of_planted_boxes() -> None:
    opacity, mask = torch.zeros(3, 1, 8, 8), torch.zeros(3, 1, 8, 8)
    opacity[:, :, 1:5, 1:5], mask[0, :, 3:7, 1:5], mask[1, :, 6:, 6:] = 0.51, 1.0, 1.0
    image, true = torch.full((3, 3, 8, 8), 0.5), torch.full((3, 3, 8, 8), 0.5)
    image[0, 0, 3:5, 1:5] += 0.3
    image[0, :, 1:3, 1:5] += 0.4  # where only one of them is
    iou, colour = silhouette_overlap(image, opacity, true, mask)
    assert iou.tolist() == pytest.approx([8 / 24, 0.0, 0.0])
    assert colour[0].item() == pytest.approx(0.1) and colour[1:].isnan().all()
    assert silhouette_overlap(image, 0.98 * opacity, true, mask)[0].tolist() == [
        0.0,
        0.0,
        0.0,
    ]  # one half is not above it


def test_the_ground_truth_itself_is_exact() -> None:
    scene = StaticScene.from_caption("a red cone")
    found = measure_shape(render_fn_of(scene), scene, cameras=FEW, size=32)
    assert found.alignment == Alignment() and (found.iou == 1).all() and (found.psnr == 100).all()
    assert not found.colour.any() and not found.delta_e.any()
    assert torch.equal(found.saturation, found.true_saturation)


@pytest.mark.slow
def test_planted_transforms_are_recovered() -> None:
    scene = StaticScene.from_caption("a blue cube with a white face", OVERHEAD_LIGHT)
    where = align(render_fn_of(scene.transformed(1.25, -0.1)), scene, FEW, free_yaw=False)
    assert (
        where.scale == pytest.approx(1.25, rel=0.03) and where.lift == pytest.approx(-0.1, abs=0.02) and not where.yaw
    )
    spun = render_fn_of(scene.transformed(0.9, 0.05, yaw=100.0))
    found = measure_shape(spun, scene, cameras=FEW, size=32, free_yaw=True)
    # Silhouettes alone would take any quarter of a turn: the face decides.
    assert found.alignment.yaw == pytest.approx(100.0, abs=4.0) and found.iou.mean() > 0.95
    fixed = measure_shape(spun, scene, cameras=FEW, size=32, free_yaw=True, aligned=False)
    assert fixed.alignment == Alignment() and fixed.colour.nanmean() > 4 * found.colour.nanmean()


def test_other_colours_and_no_object_at_all() -> None:
    scene = StaticScene.from_caption("a red sphere", OVERHEAD_LIGHT)

    def paler(cameras: Cameras, size: int) -> tuple[Tensor, Tensor]:
        renders = scene.render(cameras, size, 3)
        return renders.image * 0.9, renders.mask

    found = measure_shape(paler, scene, cameras=FEW, size=32, aligned=False)
    true = scene.render(FEW, 32, 3)
    want = -10 * (0.1 * true.image).square().mean((1, 2, 3)).log10()
    assert torch.allclose(found.psnr, want, atol=1e-3) and (found.iou == 1).all()
    inside = true.mask[:, 0] > 0.5
    mean = torch.stack([(0.1 * true.image[i]).mean(0)[inside[i]].mean() for i in range(4)])
    assert torch.allclose(found.colour, mean, atol=1e-5)
    high = torch.stack([1 - true.image[i].amin(0)[inside[i]] / true.image[i].amax(0)[inside[i]] for i in range(1)])
    assert found.true_saturation[0].item() == pytest.approx(high.mean().item(), rel=1e-5)
    nothing = measure_shape(
        lambda c, n: (torch.ones(len(c), 3, n, n), torch.zeros(len(c), 1, n, n)), scene, cameras=FEW, size=32
    )
    estimates = nothing.estimates()
    assert (
        estimates["iou"].value == 0
        and math.isnan(estimates["colour"].value)
        and math.isnan(estimates["saturation"].value)
    )
    assert estimates["psnr"].interval is not None and estimates["psnr"].interval[0] <= estimates["psnr"].value
    with pytest.raises(ValueError, match="at least one"):
        held_out_cameras(0)


class Turntable(nn.Module):
    """Generator that renders the ground truth."""

    def __init__(self, scene: StaticScene, flat: bool = False) -> None:
        super().__init__()
        self.scene, self.flat = scene, flat

    def view(self, n: int, rng: Rng) -> CameraView:
        return CameraView(tuple(range(n)), turntable(n), SIDE)

    def forward(self, view: CameraView) -> Tensor | Rendering3D:
        renders = self.scene.render(view.cameras, view.size, 3)
        return renders.image if self.flat else Rendering3D(view, renders.image, renders.mask, renders.depth)


def test_render_function_of_a_generator() -> None:
    scene = StaticScene.from_caption("a blue cone")
    image, opacity = render_function(Turntable(scene))(FEW, 16)
    renders = scene.render(FEW, 16, 3)
    assert torch.equal(image, renders.image) and torch.equal(opacity, renders.mask)
    with pytest.raises(ValueError, match="must have an opacity, got Rendering"):
        render_function(Turntable(scene, flat=True))(FEW, 16)


@cache
def ring(thing: str) -> tuple[StaticScene, Tensor]:
    scene = StaticScene.from_caption(f"a blue {thing}")
    return scene, scene.render(turntable(N, 15.0), SIDE).image


JANUS = [k if k <= 6 or k >= 18 else (12 - k) % N for k in range(N)]
BARE = [(12 - k) % N if k < 6 or k > 18 else k for k in range(N)]
TURNED = [(k + 9) % N for k in range(N)]
PLANTED = {"true": (list(range(N)), 1), "janus": (JANUS, 2), "bare": (BARE, 0), "turned": (TURNED, 1)}


@pytest.mark.parametrize("thing", [thing.name for thing in OBJECTS_WITH_FRONT])
def test_planted_fronts_are_counted(thing: str) -> None:
    """Views beyond the sides mirrored make two faces; the front's views replaced by mirrored backs, none."""
    _, images = ring(thing)
    for rows, want in PLANTED.values():
        assert match_front_faces(images[rows], images).count == want
    rng = torch.Generator().manual_seed(0)
    soft = torch.nn.functional.avg_pool2d(images[JANUS], 3, 1, 1, count_include_pad=False)
    noisy = 0.1 + 0.8 * soft + 0.05 * torch.randn(soft.shape, generator=rng)
    assert match_front_faces(noisy, images).count == 2


def test_a_plain_cube_has_none_and_a_front_everywhere_is_many() -> None:
    scene, images = ring("cube with a white face")
    plain = StaticScene.from_caption("a blue cube")
    assert count_front_faces(render_fn_of(plain), scene, size=SIDE).count == 0
    assert match_front_faces(images[[0] * N], images).count == 3
    assert (
        count_front_faces(render_fn_of(scene.transformed(0.8, 0.1)), scene, Alignment(0.8, 0.1, 50.0), size=SIDE).count
        == 1
    )
    with pytest.raises(ValueError, match="must have a front face, got"):
        count_front_faces(render_fn_of(plain), plain)
    with pytest.raises(ValueError, match="number of views must be"):
        count_front_faces(render_fn_of(plain), scene, n=6)
    assert has_front_face(parse("a red cone on a blue car")) and not has_front_face(parse("a red mug, front view"))


def test_the_classifier_counts_too() -> None:
    classifier = SceneClassifier.packaged()
    scene = StaticScene.from_caption("a blue robot head")
    images = scene.render(turntable(N, 15.0), 64).image
    for rows, want in PLANTED.values():
        assert classify_front_faces(classifier, images[rows]).count == want


@given(st.integers(0, 23), st.lists(st.integers(2, 5), min_size=0, max_size=3))
def test_runs_are_counted_around(start: int, lengths: list[int]) -> None:
    shows, spot = torch.zeros(N, dtype=torch.bool), 0
    for length in lengths:
        shows[spot : spot + length] = True
        spot += length + 2
    assert count_runs(shows.roll(start), expected=5) == len(lengths)


def test_gaps_and_noise_are_no_fronts() -> None:
    def count(text: str, expected: int = 3) -> int:
        return count_runs(torch.tensor([c == "#" for c in text]), expected)

    assert count("..##.##....") == 1  # a gap of one view, 5 views: not two fronts of 3
    assert count("..#....#...") == 0
    assert count("#..........#") == 1  # around the end
    assert count("######......") == 2 and count("############") == 4
