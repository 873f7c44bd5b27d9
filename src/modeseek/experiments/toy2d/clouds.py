"""Several point clouds in one batch, each with random numbers of its own."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.base import BaseGenerator, View
from modeseek.rng import Rng


class Clouds(BaseGenerator):
    """Clouds of points optimised side by side as alone: each is one item, with the random stream of its number.

    Args:
        z: initial points of all clouds, (c n, *d), cloud by cloud; copied.
        clouds: number of each cloud's stream, (c,).
        groups: number of parameters that the clouds are divided into, each with a learning rate of its own.
    """

    encodes: ClassVar[bool] = False

    def __init__(self, z: Float[Tensor, "cn *d"], clouds: tuple[int, ...], groups: int = 1) -> None:
        super().__init__()
        if not clouds or len(z) % len(clouds) or len(clouds) % groups:
            raise ValueError(
                f"clouds must be as large as each other, and so must their groups, got {len(z)} points, {len(clouds)} "
                f"clouds and {groups} groups"
            )
        self.clouds = clouds
        self.parts = nn.ParameterList(nn.Parameter(part.clone()) for part in z.detach().chunk(groups))
        for part in self.parts:
            part.register_hook(lambda grad: len(clouds) * grad)  # `distill` takes the mean over items

    @property
    def z(self) -> Float[Tensor, "cn *d"]:
        """Points of all clouds."""
        return torch.cat(list(self.parts))

    def view(self, n: int, rng: Rng) -> View:
        """Returns the single view, of all clouds; n must be 1."""
        super().view(n, rng)
        return View(items=self.clouds)

    def forward(self, view: View) -> Float[Tensor, "cn *d"]:
        return self.z
