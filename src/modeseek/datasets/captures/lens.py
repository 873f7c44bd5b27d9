"""Perspective lens with radial and tangential distortion, as OpenCV, COLMAP and nerfstudio describe it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Lens:
    """Perspective camera: focal lengths, principal point and distortion.

    A direction (x, y, 1), x to the right and y down, is seen at `focal * distorted(x, y) + centre`, with
    `distorted = (1 + k1 r + k2 r^2 + k3 r^3 + k4 r^4) (x, y) + (2 p1 x y + p2 (r + 2 x^2), p1 (r + 2 y^2) + 2 p2 x y)`
    and `r = x^2 + y^2` (Brown, "Close-range camera calibration", 1971; OpenCV's model).

    Attributes:
        width: width of the image, pixels.
        height: height of the image, pixels.
        focal: horizontal and vertical focal length, pixels, > 0.
        centre: principal point, pixels from the upper left corner, where the first pixel has its centre at (0.5, 0.5).
        radial: k1, k2, k3, k4.
        tangential: p1, p2.
    """

    width: int
    height: int
    focal: tuple[float, float]
    centre: tuple[float, float]
    radial: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    tangential: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        numbers = (*self.focal, *self.centre, *self.radial, *self.tangential)
        if not all(map(math.isfinite, numbers)) or not min(self.focal) > 0 or min(self.width, self.height) < 1:
            raise ValueError(
                f"a lens must have finite numbers, focal lengths > 0 and an image of at least a pixel, got focal "
                f"{self.focal}, centre {self.centre}, {self.width} x {self.height} pixels; try a calibrated camera"
            )

    def scaled(self, width: int, height: int) -> Lens:
        """Returns the lens of the same image in another resolution.

        Raises:
            ValueError: another ratio of width to height, by more than a pixel.
        """
        x, y = width / self.width, height / self.height
        if abs(self.height * x - height) > 1 and abs(self.width * y - width) > 1:
            raise ValueError(
                f"an image must have the shape of its lens, {self.width} x {self.height} pixels, got {width} x {height}"
            )
        focal, centre = (self.focal[0] * x, self.focal[1] * y), (self.centre[0] * x, self.centre[1] * y)
        return replace(self, width=width, height=height, focal=focal, centre=centre)

    def project(self, directions: Float[Tensor, "*n 3"]) -> tuple[Float[Tensor, "*n 2"], Bool[Tensor, "*n"]]:
        """Returns the pixel at which each direction is seen, and whether it is seen at all.

        Args:
            directions: directions in the camera's axes: x to the right, y down, z forward; of any length.
        """
        ahead = directions[..., 2] > 0
        xy = directions[..., :2] / torch.where(ahead, directions[..., 2], 1.0)[..., None]
        x, y = xy.unbind(-1)
        r = x * x + y * y
        k1, k2, k3, k4 = self.radial
        p1, p2 = self.tangential
        factor = 1 + r * (k1 + r * (k2 + r * (k3 + r * k4)))
        px = self.focal[0] * (factor * x + 2 * p1 * x * y + p2 * (r + 2 * x * x)) + self.centre[0]
        py = self.focal[1] * (factor * y + p1 * (r + 2 * y * y) + 2 * p2 * x * y) + self.centre[1]
        inside = (px >= 0) & (px <= self.width) & (py >= 0) & (py <= self.height)
        return torch.stack([px, py], -1), ahead & inside & (r < self._limit)

    @property
    def _limit(self) -> float:
        """Squared radius from which the radial polynomial falls again: directions beyond would be seen twice."""
        k1, k2, k3, k4 = self.radial
        roots = np.roots([9 * k4, 7 * k3, 5 * k2, 3 * k1, 1.0])  # d/ds of s + k1 s^3 + k2 s^5 ... in r = s^2
        real = roots.real[(abs(roots.imag) < 1e-9 * (1 + abs(roots))) & (roots.real > 0)]
        return float(real.min()) if len(real) else math.inf
