"""Initial splats: where they are, how large, and in which colours."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from scipy.stats import kstest

import modeseek as ms
from modeseek.generators.mesh.extract import DensityField
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.splats import Ball, FromVolume, MeshSurface, PointCloud, Splats
from modeseek.generators.splats.starts import neighbor_distance, quaternions_to

LIKE = torch.empty(0)


def test_a_ball_is_filled_evenly():
    splats = Ball(0.7, 0.2).splats(3000, ms.Streams(1), LIKE)
    radius = splats.means.norm(dim=1)
    assert radius.max() <= 0.7 and kstest((radius / 0.7).numpy() ** 3, "uniform").pvalue > 0.001
    assert kstest((splats.means[:, 1] / radius).numpy(), "uniform", args=(-1, 2)).pvalue > 0.001
    assert (splats.opacities == 0.2).all() and ((splats.colors > 0.39) & (splats.colors < 0.61)).all()
    assert (splats.scales == splats.scales[:, :1]).all()


def test_scales_are_distances_to_the_nearest_three():
    points = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    distances, _ = cKDTree(points.numpy()).query(points.numpy(), 4)
    assert neighbor_distance(points).numpy() == pytest.approx(np.sqrt((distances[:, 1:] ** 2).mean(1)), rel=1e-4)
    assert neighbor_distance(points[:1]).tolist() == pytest.approx([0.1])


@pytest.mark.parametrize("n", [5, 40, 100])
def test_a_point_cloud_keeps_all_its_points_or_some(n):
    points = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    colors = torch.rand(40, 3, generator=torch.Generator().manual_seed(1))
    splats = PointCloud(points, colors).splats(n, ms.Streams(0), LIKE)
    index = torch.cdist(splats.means[: min(n, 40)], points).argmin(1)
    assert torch.equal(splats.means[: min(n, 40)], points[index]) and len(index.unique()) == min(n, 40)
    assert torch.allclose(splats.colors[: min(n, 40)], colors[index].clamp(1 / 512, 1 - 1 / 512))
    assert len(splats.means) == n and splats.means.isfinite().all() and (splats.scales > 0).all()


def test_a_mesh_is_covered_by_its_area_with_flat_splats_along_it():
    vertices = torch.tensor([[0.0, 0, 0], [3, 0, 0], [0, 2, 0], [0, 0, 1.0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])  # areas 3 and 1
    colours = torch.tensor([[0.1, 0.1, 0.1], [0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9]])
    splats = MeshSurface(Mesh(vertices, faces, colours)).splats(4000, ms.Streams(0), LIKE)
    first = splats.means[:, 2].abs() < 1e-6
    assert float(first.float().mean()) == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 4000))
    x, y = (splats.means[first, :2] / torch.tensor([3.0, 2.0])).T
    assert (x + y <= 1 + 1e-5).all()
    assert kstest(((1 - x) ** 2).numpy(), "uniform").pvalue > 0.001  # x of a uniform point in a triangle
    assert torch.allclose(splats.colors[first, 0], 0.1 + 0.8 * x, atol=1e-5)
    rotations = Rotation.from_quat(np.roll(splats.quats.numpy(), -1, 1)).as_matrix()
    assert np.abs(rotations[first.numpy()][:, 2, 2]) == pytest.approx(np.ones(int(first.sum())), abs=1e-6)
    assert torch.allclose(splats.scales[:, 2], 0.2 * splats.scales[:, 0])


def test_rotations_take_the_z_axis_to_any_direction():
    normals = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    normals = torch.cat([normals, torch.tensor([[0.0, 0, 1], [0, 0, -1]])])
    rotations = Rotation.from_quat(np.roll(quaternions_to(normals).numpy(), -1, 1)).as_matrix()
    assert rotations[:, :, 2] == pytest.approx(normals.numpy(), abs=1e-5)


def test_a_volume_is_sampled_where_it_absorbs():
    def evaluate(points):
        inside = (points - torch.tensor([0.3, 0.0, 0.0])).norm(dim=-1) < 0.3
        return 50.0 * inside, points.mul(0.5).add(0.5)

    splats = FromVolume(DensityField(evaluate, 1.0)).splats(2000, ms.Streams(0), LIKE)
    offset = splats.means - torch.tensor([0.3, 0.0, 0.0])
    assert offset.norm(dim=1).max() < 0.3 + 2 * 3**0.5 / 64
    assert offset.mean(0).abs().max() < 0.02
    assert float((offset.norm(dim=1) < 0.2).double().mean()) < 0.05  # 30 % of its volume, but hidden
    assert torch.allclose(splats.colors, (splats.means * 0.5 + 0.5).clamp(1 / 512, 1 - 1 / 512))
    with pytest.raises(ValueError, match=r"must have some density, got none; try start=Ball"):
        FromVolume(DensityField(lambda p: (0 * p[:, 0], p), 1.0)).splats(4, ms.Streams(0), LIKE)


def test_few_splats_start_in_a_haze():
    """A haze of 2 % of the ball's density, in 63 times its volume, gets few of them."""
    field = DensityField(lambda p: (32 * torch.where(p.norm(dim=-1) < 0.25, 1.0, 0.02), 0 * p + 0.5), 1.0)
    splats = FromVolume(field).splats(1000, ms.Streams(0), LIKE)
    assert float((splats.means.norm(dim=1) < 0.25 + 2 * 3**0.5 / 64).double().mean()) > 0.5


def test_splats_of_a_solid_ball_have_its_silhouette():
    ball = DensityField(lambda p: (80.0 * (p.norm(dim=-1) < 0.5), 0 * p + 0.5), 1.0)
    splats = Splats(3000, FromVolume(ball, opacity=0.6), rng=ms.Streams(0), size=48)
    view = splats.view_from(splats.orbit.ring(2), 48)
    position, direction = view.cameras.rays(48)
    nearest = torch.linalg.cross(position[:, None, None].expand_as(direction), direction).norm(dim=-1)
    with torch.no_grad():
        shown, expected = splats(view).opacity[:, 0] > 0.5, nearest < 0.5
    assert float((shown & expected).sum() / (shown | expected).sum()) > 0.6  # they stand out by their own width


def test_bad_starts_are_one_clear_line():
    for make in (lambda: Ball(-1.0), lambda: Ball(0.5, 1.0)):
        with pytest.raises(ValueError, match="a ball needs a positive radius and an opacity"):
            make()
    with pytest.raises(ValueError, match="splats need a capacity and a size of at least 1, got 0 and 64"):
        Splats(0, rng=ms.Streams(0))
