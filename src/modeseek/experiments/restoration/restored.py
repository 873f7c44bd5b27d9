"""Result of a job of the experiment on restoration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.io.images import read_images


@dataclass(frozen=True)
class Restored:
    """Result of a job.

    Attributes:
        values: scores by key, one number per image.
        calls: prior calls per image.
        jacobians: vector-Jacobian products of the prior per image.
        seconds: run time per image.
        path: PNG file with all images side by side; absent of a tuning.
    """

    values: dict[str, Float[Tensor, "n"]]
    calls: float
    jacobians: int
    seconds: float
    path: Path

    def images(self, n: int) -> Float[Tensor, "n 3 h w"]:
        """The n restored images."""
        return torch.stack(read_images([self.path])[0].chunk(n, -1))
