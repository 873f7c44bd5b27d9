"""Ground truth for Gaussian splats: loops over pixels and splats in float64, without modeseek.

The Jacobian of the projection is taken by differences, rotations by SciPy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

Array = np.ndarray


@dataclass(frozen=True)
class Camera:
    """Angles in degrees, distance in world units."""

    azimuth: float
    elevation: float
    distance: float
    fov: float

    @property
    def axes(self) -> Array:
        """Right, up and forward, a row each."""
        a, e = math.radians(self.azimuth), math.radians(self.elevation)
        out = np.array([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])
        right = np.cross([0.0, 1.0, 0.0], out)
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(out, right), -out])

    @property
    def half(self) -> float:
        """Tangent of half the field of view."""
        return math.tan(math.radians(self.fov) / 2)

    def local(self, point: Array) -> Array:
        """Coordinates along right, up and forward."""
        return self.axes @ (point + self.distance * self.axes[2])

    def project(self, point: Array, size: int) -> Array:
        """Column, row and depth of a point; pixel (0, 0) is centred at 0, 0."""
        x, y, depth = self.local(point)
        x, y = x / depth / self.half, y / depth / self.half
        return np.array([(x + 1) * size / 2 - 0.5, (1 - y) * size / 2 - 0.5, depth])

    def held(self, point: Array) -> Array:
        """The point of equal depth within 1.3 times the field of view."""
        x, y, depth = self.local(point)
        edge = 1.3 * self.half * depth
        return self.axes.T @ np.array([np.clip(x, -edge, edge), np.clip(y, -edge, edge), depth]) - (
            self.distance * self.axes[2]
        )


@dataclass(frozen=True)
class Cloud:
    """means (n, 3), quats w x y z (n, 4), scales (n, 3), opacities (n,), colors (n, 3)."""

    means: Array
    quats: Array
    scales: Array
    opacities: Array
    colors: Array


def covariance(quat: Array, scale: Array) -> Array:
    """R diag(scale^2) R^T."""
    rotation = Rotation.from_quat(np.roll(quat, -1)).as_matrix()
    return rotation @ np.diag(scale**2) @ rotation.T


def render(cloud: Cloud, camera: Camera, size: int, background: Array) -> tuple[Array, Array, Array]:
    """Image (size, size, 3), opacity and expected depth of the foreground."""
    splats, step = [], 1e-5
    for mean, quat, scale, opacity, color in zip(*vars(cloud).values(), strict=True):
        centre = camera.project(mean, size)
        if centre[2] <= 0.01:
            continue
        at = camera.held(mean)
        ends = [(camera.project(at + step * e, size), camera.project(at - step * e, size)) for e in np.eye(3)]
        jacobian = np.stack([(one - other) / (2 * step) for one, other in ends], 1)[:2]
        sharp = jacobian @ covariance(quat, scale) @ jacobian.T
        flat = sharp + 0.3 * np.eye(2)
        peak = opacity * math.sqrt(np.linalg.det(sharp) / np.linalg.det(flat))
        splats.append((centre[2], centre[:2], np.linalg.inv(flat), peak, color))
    splats.sort(key=lambda splat: splat[0])
    image, covered, depths = np.zeros((size, size, 3)), np.zeros((size, size)), np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            passing, total = 1.0, 0.0
            for depth, centre, inverse, opacity, color in splats:
                offset = np.array([column, row]) - centre
                alpha = min(opacity * math.exp(-0.5 * offset @ inverse @ offset), 0.999)
                if alpha < 1 / 255:
                    continue
                image[row, column] += passing * alpha * color
                total += passing * alpha * depth
                passing *= 1 - alpha
            covered[row, column] = 1 - passing
            depths[row, column] = total / max(1 - passing, 0.01)
            image[row, column] += passing * background
    return image, covered, depths
