"""Any differentiable likelihood as a data term, maximised by gradient steps with backtracking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.operators.backtracking import backtrack, better


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Differentiable log-likelihood `log p(y | z)` as a data term.

    `maximise` starts at the better of `start` and `center` and climbs `log p(y | z) - |z - center|^2 / (2 h^2)` by
    gradient steps of the length of Barzilai and Borwein (1988), at most h^2, each halved until the bound does not fall.

    Attributes:
        function: function from points (b, *d) to `log p(y | z)`, (b,), differentiable, row by row; y is the same for
            all rows.
        steps: number of gradient steps, >= 1.
    """

    function: Callable[[Tensor], Tensor]
    steps: int = 20

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}; try 20")

    def log_prob(self, z: Float[Tensor, "b *d"]) -> Float[Tensor, "b"]:
        value = self.function(z)
        if value.shape != (len(z),):
            raise ValueError(
                f"a log-likelihood must give one number per row, ({len(z)},), got {tuple(value.shape)}; "
                "try a sum over all axes but the first"
            )
        return value

    def maximise(
        self, center: Float[Tensor, "b *d"], start: Float[Tensor, "b *d"], bandwidth: Float[Tensor, "b"]
    ) -> Float[Tensor, "b *d"]:
        """Returns points at which `log p(y | z) - |z - center|^2 / (2 h^2)` is no lower than at `start`."""
        center, start, square = center.detach(), start.detach(), bandwidth**2

        def bound(x: Tensor) -> Tensor:
            with torch.no_grad():
                return self.log_prob(x) - (x - center).flatten(1).square().sum(1) / (2 * square)

        z, value = better(bound, start, center)
        length, gradient = square, self._gradient(z, center, square)
        for number in range(self.steps):
            before, old = z, gradient
            z, value = backtrack(bound, z, value, expand_like(length, z) * gradient)
            if number == self.steps - 1 or torch.equal(z, before):
                break
            gradient = self._gradient(z, center, square)
            moved, changed = (z - before).flatten(1), (gradient - old).flatten(1)
            curvature = (moved * changed).sum(1).abs()
            length = torch.where(curvature > 0, moved.square().sum(1) / curvature.clamp(min=1e-300), square)
            length = torch.minimum(length, square)
        return z

    def select(self, rows: Int[Tensor, "r"]) -> Likelihood:
        return self

    def metric(self, bandwidth: Float[Tensor, "b"]) -> None:
        return None

    def _gradient(self, z: Tensor, center: Tensor, square: Tensor) -> Tensor:
        with torch.enable_grad():
            x = z.detach().requires_grad_()
            slope = torch.autograd.grad(self.log_prob(x).sum(), x)[0]
        return slope + (center - z) / expand_like(square, z)
