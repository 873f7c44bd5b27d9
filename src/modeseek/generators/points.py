"""Generator of free points."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.base import BaseGenerator, View
from modeseek.rng import Rng


class Points(BaseGenerator):
    """Points (or whole images) optimised directly: the parameters are the output. The whole cloud is one item.

    Args:
        z: initial points, (n, *d); copied.
    """

    encodes: ClassVar[bool] = False

    def __init__(self, z: Float[Tensor, "n *d"]) -> None:
        super().__init__()
        if not isinstance(z, Tensor):
            raise TypeError(f"points must be a tensor (n, *d), got {z!r:.40}; try torch.randn(100, *prior.shape)")
        if z.ndim < 2 or not z.is_floating_point() or not z.isfinite().all():
            raise ValueError(f"Points must be finite floating point (n, *d), got {tuple(z.shape)} {z.dtype}")
        self.z = nn.Parameter(z.detach().clone())

    def view(self, n: int, rng: Rng) -> View:
        """Returns the single view; n must be 1."""
        if n != 1:
            raise ValueError(f"a point cloud is one item, got batch={n}; use batch=1")
        return View(items=(0,))

    def forward(self, view: View) -> Float[Tensor, "n *d"]:
        return self.z
