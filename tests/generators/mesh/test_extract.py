"""Mesh extraction from volumes with a known surface: position, volume, topology, colours and haze."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from modeseek.generators.mesh.extract import DensityField, Extraction
from modeseek.generators.mesh.extract import extract as extract_surface
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.surface_level import surface_level

Field = Callable[[Tensor], tuple[Tensor, Tensor]]
GREY = 0.5


def density_field(
    distance: Callable[[Tensor], Tensor], density: float = 80.0, edge: float = 60.0, haze: float = 0.0
) -> Field:
    """A grey volume: half of `density` at distance 0."""
    return lambda p: (density * torch.sigmoid(-edge * distance(p)) + haze, torch.full_like(p, GREY))


def extract(field: Field, radius: float, size: int, **options: float) -> Extraction:
    return extract_surface(DensityField(field, radius), size, **options)


def ball(radius: float, middle: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Callable[[Tensor], Tensor]:
    return lambda p: (p - torch.tensor(middle)).norm(dim=-1) - radius


def torus(p: Tensor) -> Tensor:
    return ((p[:, :2].norm(dim=-1) - 0.5).square() + p[:, 2].square()).sqrt() - 0.2


def as_trimesh(mesh: Mesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False)


@pytest.mark.parametrize("size", [24, 61])
def test_a_ball_has_its_volume_its_normals_and_no_hole(size: int) -> None:
    mesh = extract(density_field(ball(0.5)), 0.9, size, level=40.0).mesh
    step = 1.8 / (size - 1)
    away = (
        step**2 + 0.01 * step
    )  # a face cuts off at most its circumradius^2 / 2 r; a vertex stops short of edges' ends
    assert (mesh.vertices.norm(dim=-1) - 0.5).abs().max() < 0.02 * step
    found = as_trimesh(mesh)
    assert found.volume == pytest.approx(4 / 3 * math.pi * 0.5**3, abs=math.pi * away)
    assert mesh.volume == pytest.approx(found.volume, rel=1e-5)
    assert found.is_watertight and found.is_winding_consistent and found.euler_number == 2 and mesh.closed
    assert (mesh.normals * mesh.vertices / 0.5).sum(-1).min() > 0.95
    assert found.area_faces.min() > 0


def test_a_torus_has_its_hole_and_its_volume() -> None:
    found = as_trimesh(extract(density_field(torus), 0.9, 64, level=40.0).mesh)
    assert found.is_watertight and found.euler_number == 0
    assert found.volume == pytest.approx(2 * math.pi**2 * 0.5 * 0.2**2, rel=0.01)


def test_axes_stay_in_their_order() -> None:
    half, middle = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.1, -0.2, 0.3])
    mesh = extract(density_field(lambda p: ((p - middle) / half).norm(dim=-1) - 1, edge=30), 0.9, 64, level=40.0).mesh
    torch.testing.assert_close(mesh.vertices.amax(0), middle + half, atol=0.01, rtol=0)
    torch.testing.assert_close(mesh.vertices.amin(0), middle - half, atol=0.01, rtol=0)


def test_a_surface_that_leaves_the_ball_is_closed_at_its_border() -> None:
    mesh = extract(density_field(lambda p: -p[:, 1]), 0.8, 40, level=40.0).mesh  # everything above y = 0
    assert as_trimesh(mesh).is_watertight
    assert mesh.volume == pytest.approx(2 / 3 * math.pi * 0.8**3, rel=0.05)
    assert mesh.vertices.norm(dim=-1).max() < 0.8 + 2e-3


def test_haze_does_not_become_a_shell() -> None:
    clear = extract(density_field(ball(0.4)), 0.9, 48)
    hazy = extract(density_field(ball(0.4), haze=0.3), 0.9, 48)  # it absorbs 0.42 of the light
    assert hazy.mesh.volume == pytest.approx(clear.mesh.volume, rel=0.1)
    assert hazy.automatic and 0.3 < hazy.level < 40
    shell = extract(density_field(ball(0.4), haze=0.3), 0.9, 48, level=0.2)
    assert not shell.automatic and shell.mesh.vertices.norm(dim=-1).max() > 0.85


def test_thick_and_thin_volumes_are_kept_at_every_grid_size() -> None:
    volumes = []
    for size in (40, 80):
        for density in (4.0, 300.0):
            volumes.append(extract(density_field(ball(0.5), density), 0.9, size).mesh.volume)
    assert volumes[0] == pytest.approx(volumes[2], rel=0.05) and volumes[1] == pytest.approx(volumes[3], rel=0.05)
    assert all(0.8 < volume / (4 / 3 * math.pi * 0.5**3) < 1.8 for volume in volumes)


def first_crossing(rays: np.ndarray, bound: float) -> np.ndarray:
    """Where each row first exceeds the bound, in interpolated steps; its length where it never does."""
    crossings = []
    for ray in rays:
        position = float(len(ray))
        for k, value in enumerate(ray):
            if value > bound:
                position = 0.0 if k == 0 else k - 1 + (bound - ray[k - 1]) / (value - ray[k - 1])
                break
        crossings.append(position)
    return np.array(crossings)


def test_no_level_matches_the_visible_surface_better(rng: torch.Generator) -> None:
    n, step = 9, 0.2
    density = torch.rand(n, n, n, generator=rng) ** 4 * 30
    level = surface_level(density, step)
    grid = density.double().numpy()
    sides = [np.moveaxis(grid, axis, -1)[..., ::turn].reshape(-1, n) for axis in range(3) for turn in (1, -1)]
    rays = np.concatenate(sides)
    depth = np.concatenate([np.zeros((len(rays), 1)), np.cumsum((rays[:, 1:] + rays[:, :-1]) / 2 * step, 1)], 1)
    visible = first_crossing(depth, math.log(2))

    def cost(level: float) -> float:
        return float(np.abs(first_crossing(rays, level) - visible).mean())

    assert cost(level) <= min(map(cost, np.geomspace(0.01, 29, 60))) + 0.05  # its candidate levels are sparser
    assert cost(level) < 0.5 * cost(20.0) and cost(level) < 0.9 * cost(0.05)


def test_floaters_are_removed_and_cavities_filled() -> None:
    def distance(p: Tensor) -> Tensor:
        shell = (ball(0.4)(p).abs() - 0.1) if hollow else ball(0.5)(p)
        return torch.minimum(shell, ball(0.08, (0.6, 0.45, 0.0))(p))

    hollow = False
    field, true = density_field(distance, edge=200), [4 / 3 * math.pi * r**3 for r in (0.5, 0.08)]
    result = extract(field, 0.9, 64)
    assert (result.parts.pieces, result.parts.floaters, result.parts.hollows) == (1, 1, 0)
    assert result.parts.share == pytest.approx(true[0] / sum(true), abs=2e-3)
    assert "1 floater removed" in result.summary and result.mesh.vertices.norm(dim=-1).max() < 0.55
    both = extract(field, 0.9, 64, floaters=0.001)
    assert both.parts.pieces == 2 and both.parts.share == 1 and as_trimesh(both.mesh).body_count == 2
    hollow = True
    filled = extract(field, 0.9, 64)
    assert filled.parts.hollows == 1 and filled.mesh.volume == pytest.approx(result.mesh.volume, rel=0.02)
    assert "1 cavity filled" in filled.summary


def test_vertices_have_the_colour_a_camera_sees() -> None:
    def field(p: Tensor) -> tuple[Tensor, Tensor]:
        r = p.norm(dim=-1, keepdim=True)
        skin, core, haze = (torch.tensor(c) for c in ([0.1, 0.8, 0.3], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]))
        colour = torch.where(r > 0.6, haze, torch.where(r > 0.4, skin, core))
        return density_field(ball(0.5), 400.0, haze=0.1)(p)[0], colour

    colours = extract(field, 0.9, 64).mesh.colours
    torch.testing.assert_close(colours, torch.tensor([0.1, 0.8, 0.3]).expand_as(colours), atol=0.02, rtol=0)


def test_a_field_without_a_surface_is_one_clear_line() -> None:
    def flat(value: float) -> Field:
        return lambda p: (torch.full_like(p[:, 0], value), torch.full_like(p, GREY))

    for field, message in (
        (flat(0.0), "the volume is empty"),
        (flat(0.1), "too thin for a surface, got an opacity of at most 0.1"),
        (flat(float("nan")), "must be finite and >= 0"),
        (flat(-1.0), "must be finite and >= 0, got -1"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            extract(field, 0.9, 16)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="below the greatest density 80, got 100"):
        extract(density_field(ball(0.5)), 0.9, 16, level=100.0)
    for wrong in ({"size": 4}, {"radius": 0.0}, {"level": -1.0}, {"floaters": 2.0}):
        with pytest.raises(ValueError, match="got"):
            extract(**({"field": density_field(ball(0.5)), "radius": 0.9, "size": 16} | wrong))  # pyright: ignore[reportArgumentType]


def test_an_invalid_mesh_is_refused(unchecked: None) -> None:
    three, face = torch.eye(3), torch.tensor([[0, 1, 2]])
    for wrong, message in (
        ({"faces": torch.zeros(0, 3, dtype=torch.long)}, "no face"),
        ({"faces": face + 1}, "0 to 2, got 1 to 3"),
        ({"colours": three[:2]}, "3 vertices and 2 colours"),
        ({"vertices": three / 0}, "finite"),
        ({"colours": three * 2}, r"\[0, 1\], got 0 to 2"),
    ):
        with pytest.raises(ValueError, match=message):
            Mesh(**({"vertices": three, "faces": face, "colours": three} | wrong))
    assert not Mesh(three, face, three).closed
