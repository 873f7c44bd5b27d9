"""Gaussian likelihood of a nonlinear measurement, `y = f(z) + N(0, s^2)`, maximised by Gauss-Newton steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.operators.backtracking import backtrack, better
from modeseek.operators.conjugate_gradients import conjugate_gradients
from modeseek.operators.data_term import rows_like
from modeseek.operators.gaussian import check_noise

_NO_NOISE = 1e-3  # noise that stands for none, over the root mean square of y


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """Gaussian likelihood `log p(y | z) = -|f(z) - y|^2 / (2 s^2) - (e / 2) log(2 pi s^2)`, f differentiable.

    `maximise` starts at the better of `start` and `center` and takes Gauss-Newton steps: with J the Jacobian of f,
    `(I + (h / s)^2 J'J) step = center - z + (h / s)^2 J' (y - f(z))`, by truncated conjugate gradients, whose every
    iterate is an ascent direction of the bound; the step is halved until the bound does not fall (Nash 2000). Cost: one
    forward and one backward derivative of f per iteration.

    Attributes:
        forward: f, from z (b, *d) to (b, *e), row by row.
        y: data, (b, *e), or (1, *e) for all rows.
        noise: s > 0, in units of y, (b,), or (1,) for all rows.
        steps: number of Gauss-Newton steps, >= 1.
        iterations: largest number of conjugate-gradient iterations a step, >= 1.
    """

    forward: Callable[[Tensor], Tensor]
    y: Float[Tensor, "n *e"]
    noise: Float[Tensor, "m"]
    steps: int = 1
    iterations: int = 8

    @classmethod
    def measured(
        cls, forward: Callable[[Tensor], Tensor], y: Float[Tensor, "n *e"], noise: float | Tensor
    ) -> LeastSquares:
        """Returns the likelihood of a measurement; a noise of 0 is 1e-3 of the root mean square of y.

        Raises:
            ValueError: data that are not finite, or a negative noise.
        """
        s = check_noise(y, noise)
        return cls(forward, y, torch.where(s == 0, _NO_NOISE * y.square().mean().sqrt().clamp(min=1e-6), s))

    def log_prob(self, z: Float[Tensor, "b *d"]) -> Float[Tensor, "b"]:
        residual = (self.forward(z) - rows_like(self.y, z)).flatten(1)
        s = self.noise.to(z)
        return -0.5 * (residual.square().sum(1) / s**2 + residual.shape[1] * (2 * math.pi * s**2).log())

    def maximise(
        self, center: Float[Tensor, "b *d"], start: Float[Tensor, "b *d"], bandwidth: Float[Tensor, "b"]
    ) -> Float[Tensor, "b *d"]:
        """Returns points at which `log p(y | z) - |z - center|^2 / (2 h^2)` is no lower than at `start`."""

        def bound(x: Tensor) -> Tensor:
            with torch.no_grad():
                return self.log_prob(x) - (x - center).flatten(1).square().sum(1) / (2 * bandwidth**2)

        z, value = better(bound, start, center)
        for _ in range(self.steps):
            step = self._step(z, center, (bandwidth / self.noise.to(z)) ** 2)
            z, value = backtrack(bound, z, value, step)
        return z

    def select(self, rows: Int[Tensor, "r"]) -> LeastSquares:
        y, noise = (part if len(part) == 1 else part[rows] for part in (self.y, self.noise))
        return LeastSquares(self.forward, y, noise, self.steps, self.iterations)

    def metric(self, bandwidth: Float[Tensor, "b"]) -> None:
        return None

    def _step(self, z: Tensor, center: Tensor, ratio: Tensor) -> Tensor:
        """Returns the Gauss-Newton step from z."""
        from torch.func import jvp

        with torch.enable_grad():
            x = z.detach().requires_grad_()
            image = self.forward(x)

        def transposed(v: Tensor) -> Tensor:
            return torch.autograd.grad(image, x, v, retain_graph=True)[0]

        r = expand_like(ratio, z)
        rhs = center - z + r * transposed(rows_like(self.y, z) - image.detach())
        return conjugate_gradients(
            lambda v: v + r * transposed(jvp(self.forward, (z,), (v,))[1]),
            rhs.detach(),
            tolerance=0.03,
            max_iterations=self.iterations,
            truncate=True,
        )
