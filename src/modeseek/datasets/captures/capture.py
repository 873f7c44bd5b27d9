"""Photographs with the poses of their cameras, in the axes of the file they come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.captures.lens import Lens

_PARALLEL = 1e-3  # least share of the optical axes' spread, below which they meet nowhere


@dataclass(frozen=True, eq=False)
class PosedPhotograph:
    """Photograph, its lens and where it was taken.

    Attributes:
        file: image file.
        mask: image file, black where the photograph does not count; None counts all of it.
        lens: lens, in pixels of the file.
        rotation: axes of the camera in the world, as columns: right, down and forward.
        position: centre of the camera in the world.
    """

    file: Path
    mask: Path | None
    lens: Lens
    rotation: Float[Tensor, "3 3"]
    position: Float[Tensor, "3"]

    @property
    def reach(self) -> float:
        """Half of the shorter side of the image over its distance: the smaller tangent of half a field of view."""
        return min(self.lens.width / self.lens.focal[0], self.lens.height / self.lens.focal[1]) / 2


@dataclass(frozen=True, eq=False)
class Capture:
    """Photographs of an object in one world.

    Attributes:
        file: file that lists them.
        photographs: the photographs, >= 1.
    """

    file: Path
    photographs: tuple[PosedPhotograph, ...]

    @property
    def positions(self) -> Float[Tensor, "n 3"]:
        """Centres of the cameras in the world."""
        return torch.stack([photograph.position for photograph in self.photographs])

    def centre(self) -> Float[Tensor, "3"]:
        """Returns the point nearest to all optical axes, by least squares.

        Raises:
            ValueError: the axes are parallel, or there is one photograph.
        """
        axis = torch.stack([photograph.rotation[:, 2] for photograph in self.photographs])
        across = torch.eye(3, dtype=axis.dtype) - axis[:, :, None] * axis[:, None]  # projects off each axis
        total = across.sum(0)
        spread = torch.linalg.eigvalsh(total / len(axis))[0].item()
        if spread < _PARALLEL:
            raise ValueError(
                f"the cameras of {self.file} must look at the object from several sides, got parallel axes of "
                f"{len(axis)}; try --set photographs.capture.centre=[0,0,0], the object's centre in the file's world"
            )
        return torch.linalg.solve(total, (across @ self.positions[:, :, None]).sum(0)[:, 0])

    def up(self) -> Float[Tensor, "3"]:
        """Returns the vertical of cameras that are held level: the direction most nearly across all their right axes.

        Where the right axes are parallel, as for photographs from one side, it is the mean of the cameras' up axes.
        """
        rotation = torch.stack([photograph.rotation for photograph in self.photographs])
        right, up = rotation[:, :, 0], -rotation[:, :, 1].mean(0)
        values, vectors = torch.linalg.eigh(right.T @ right / len(right))
        direction = vectors[:, 0] if values[1] - values[0] > _PARALLEL else up
        direction = direction * (direction @ up).sign()
        length = direction.norm()
        if not length > _PARALLEL:
            raise ValueError(
                f"the cameras of {self.file} must have an upper side in common, got none; "
                "try --set photographs.capture.up=z, the axis of the file's world that points up"
            )
        return direction / length
