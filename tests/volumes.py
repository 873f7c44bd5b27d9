"""Analytic volumes, a tiny grid, cameras and rays for the tests of volume rendering."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from modeseek.generators.camera import Cameras
from modeseek.generators.nerf import Background, Dense, NeRF

F64 = torch.empty(0, dtype=torch.float64)
POSES = [(0.0, 0.0, 3.0, 40.0), (75.0, 25.0, 2.5, 50.0), (-160.0, -40.0, 4.0, 30.0), (20.0, 10.0, 0.5, 60.0)]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cameras(*rows: tuple[float, float, float, float]) -> Cameras:
    """Cameras from rows of azimuth, elevation, distance and field of view."""
    return Cameras(*torch.tensor(rows, dtype=torch.float64).T.contiguous())


class AnalyticVolume(nn.Module):
    """An analytic volume; the parameter `gain` scales density, so that there is a gradient."""

    spacing, levels = 1e-4, 1

    def __init__(self, density: Callable[[Tensor], Tensor], colour: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones((), dtype=torch.float64))
        self.formula, self.colour = density, colour or (lambda p: (p + 1) / 2)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        return self.density(points), self.colour(points)

    def density(self, points: Tensor) -> Tensor:
        return self.gain * self.formula(points)

    def grids(self) -> tuple[Tensor, ...]:
        return ()

    def refine(self, level: int) -> None:
        return None


def pixel_rays(azimuth: float, elevation: float, distance: float, fov: float, size: int) -> tuple[np.ndarray, ...]:
    """Camera position, unit rays and cosines by rotation matrices: (3,), (size, size, 3), (size, size)."""
    a, e = np.deg2rad([azimuth, elevation])
    about_x = np.array([[1, 0, 0], [0, np.cos(e), np.sin(e)], [0, -np.sin(e), np.cos(e)]])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    turn = about_y @ about_x  # the camera on +z, raised, then rotated to its right
    half = np.tan(np.deg2rad(fov) / 2)
    ticks = (np.arange(size) + 0.5) / size * 2 - 1
    rays = np.stack([*np.meshgrid(ticks * half, -ticks * half), -np.ones((size, size))], -1)
    length = np.linalg.norm(rays, axis=-1)
    return turn @ np.array([0, 0, distance]), rays @ turn.T / length[..., None], 1 / length


def tiny(side: int = 3, **options: object) -> NeRF:
    """A small dense grid with random values, in float64."""
    options = {"size": 3, "samples": 4, "background": Background(colour=(0.3, 0.6, 0.8), like=F64)} | options
    nerf = NeRF(Dense((side,), like=F64), **options)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        nerf.volume.grid.normal_(generator=rng(4)).mul_(2)
    return nerf
