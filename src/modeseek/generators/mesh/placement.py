"""MeshPlacement of a mesh of a file in the ball around the origin, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

UpAxis = Literal["y", "z"]


@dataclass(frozen=True)
class MeshPlacement:
    """Similarity between the coordinates of a file, y up, and world axes: `world = scale (file - centre)`.

    Attributes:
        centre: point of the file that lies at the origin, units of the file.
        scale: world units per unit of the file, > 0.
    """

    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0

    @classmethod
    def of(cls, vertices: Float[Tensor, "v 3"], radius: float) -> MeshPlacement:
        """Places the middle of the bounding box at the origin, and the farthest vertex at a radius, world units.

        Raises:
            ValueError: all vertices are one point.
        """
        low, high = vertices.double().amin(0), vertices.double().amax(0)
        centre = (low + high) / 2
        reach = (vertices.double() - centre).norm(dim=-1).max().item()
        if not 0 < reach < float("inf"):
            raise ValueError(f"a mesh must have an extent, got {len(vertices)} vertices at one point; try another file")
        return cls(_triple(centre), radius / reach)

    def place(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "m 3"]:
        """Returns points of the file in world axes."""
        return ((points.double() - points.new_tensor(self.centre, dtype=torch.float64)) * self.scale).to(points)

    def restore(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "m 3"]:
        """Returns points in world axes in the coordinates of the file, y up."""
        return (points.double() / self.scale + points.new_tensor(self.centre, dtype=torch.float64)).to(points)


def to_y_up(points: Float[Tensor, "m 3"], up: UpAxis) -> Float[Tensor, "m 3"]:
    """Returns points with y up: of a file with z up and the front face along -y, (x, z, -y)."""
    if up == "y":
        return points
    x, y, z = points.unbind(-1)
    return torch.stack([x, z, -y], -1)


def _triple(point: Tensor) -> tuple[float, float, float]:
    x, y, z = point.tolist()
    return x, y, z
