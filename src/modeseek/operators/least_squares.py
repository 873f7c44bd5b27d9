"""Gaussian likelihood of a nonlinear measurement, `y = f(z) + N(0, s^2)`, maximised by Gauss-Newton steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.operators.backtracking import backtrack
from modeseek.operators.conjugate_gradients import conjugate_gradients
from modeseek.operators.data_term import gaussian_log_prob, rows_like, select_data
from modeseek.operators.gaussian import check_noise

LinearMap = Callable[[Tensor], Tensor]
_NO_NOISE = 1e-3  # noise that stands for none, over the root mean square of y


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """Gaussian likelihood `log p(y | z) = -|f(z) - y|^2 / (2 s^2) - (e / 2) log(2 pi s^2)`, f differentiable.

    `maximise` takes Gauss-Newton steps from the centre: with J the Jacobian of f at z and `r = (h / s)^2`, towards
    `center + u`, `(I / r + J'J) u = J' (y - f(z) + J (z - center))`, by truncated conjugate gradients; each step is
    halved until the bound does not fall (Nash 2000). A row that ends below `start` ascends from there instead. Cost:
    two derivatives of f per iteration, of about its own cost each.

    Attributes:
        forward: f, from z (b, *d) to (b, *e), row by row.
        y: data, (b, *e), or (1, *e) for all rows.
        noise: s > 0, in units of y, (b,), or (1,) for all rows.
        steps: number of Gauss-Newton steps, >= 1.
        iterations: largest number of conjugate-gradient iterations a step, >= 1.
        tolerance: relative residual at which they end, > 0.
    """

    forward: Callable[[Tensor], Tensor]
    y: Float[Tensor, "n *e"]
    noise: Float[Tensor, "m"]
    steps: int = 1
    iterations: int = 6
    tolerance: float = 0.03

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
        return gaussian_log_prob(self.forward(z) - rows_like(self.y, z), self.noise)

    def maximise(
        self, center: Float[Tensor, "b *d"], start: Float[Tensor, "b *d"], bandwidth: Float[Tensor, "b"]
    ) -> Float[Tensor, "b *d"]:
        """Returns points at which `log p(y | z) - |z - center|^2 / (2 h^2)` is no lower than at `start`."""

        def bound(x: Tensor) -> Tensor:
            with torch.no_grad():
                return self.log_prob(x) - (x - center).flatten(1).square().sum(1) / (2 * bandwidth**2)

        center, start, ratio = center.detach(), start.detach(), (bandwidth / self.noise.to(center)) ** 2
        z, value = center, bound(center)
        for _ in range(self.steps):
            z, value = backtrack(bound, z, value, self._step(z, center, ratio))
        least = bound(start)
        behind = value < least
        if behind.any():
            ascent = backtrack(bound, start, least, self._ascent(start, center, ratio))[0]
            z = torch.where(expand_like(behind, z), ascent, z)
        return z

    def select(self, rows: Int[Tensor, "r"]) -> LeastSquares:
        y, noise = select_data(self.y, rows), select_data(self.noise, rows)
        return replace(self, y=y, noise=noise)

    def metric(self, bandwidth: Float[Tensor, "b"]) -> None:
        return None

    def _step(self, z: Tensor, center: Tensor, ratio: Tensor) -> Tensor:
        """Returns the step to the maximiser of the linearised bound: from the centre, exact where f sees nothing."""
        image, forward, transposed = self._linearised(z)
        residual = rows_like(self.y, z) - image + forward(z - center)
        return center - z + self._solve(transposed(residual), 1 / ratio, forward, transposed)

    def _ascent(self, z: Tensor, center: Tensor, ratio: Tensor) -> Tensor:
        """Returns an ascent direction of the bound at z: every iterate of its conjugate gradients is one."""
        image, forward, transposed = self._linearised(z)
        slope = transposed(rows_like(self.y, z) - image) + (center - z) / expand_like(ratio, z)
        return self._solve(slope, 1 / ratio, forward, transposed)

    def _solve(self, rhs: Tensor, shift: Tensor, forward: LinearMap, transposed: LinearMap) -> Tensor:
        """Returns the truncated solution of `(shift I + J'J) x = rhs`."""
        return conjugate_gradients(
            lambda v: expand_like(shift, v) * v + transposed(forward(v)),
            rhs,
            tolerance=self.tolerance,
            max_iterations=self.iterations,
            truncate=True,
        )

    def _linearised(self, z: Tensor) -> tuple[Tensor, LinearMap, LinearMap]:
        """Returns f(z), and the products with J and with J' there; that with J by a second backward pass."""
        from torch.nn.attention import SDPBackend, sdpa_kernel

        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
            x = z.detach().requires_grad_()
            image = self.forward(x)
            dual = torch.zeros_like(image).requires_grad_()
            pulled = torch.autograd.grad(image, x, dual, create_graph=True)[0]

        def forward(v: Tensor) -> Tensor:
            return torch.autograd.grad(pulled, dual, v, retain_graph=True)[0]

        def transposed(v: Tensor) -> Tensor:
            return torch.autograd.grad(image, x, v, retain_graph=True)[0]

        return image.detach(), forward, transposed
