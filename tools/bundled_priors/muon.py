"""Muon: steps whose singular values are all about one, where a parameter is a matrix; AdamW for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.io.thread_pool import single_threaded

_QUINTIC = (3.4445, -4.7750, 2.0315)  # of Jordan et al.: singular values in (0, 1] go to about [0.7, 1.2]
_ROUNDS = 5
_ALIKE = 0.2  # root mean square of AdamW's steps in units of its rate, after Liu et al.
_LONG = 2.0  # times as long as it is wide: the small product is then iterated instead


class Muon(torch.optim.Optimizer):
    """Momentum whose matrices are orthogonalised (Jordan et al. 2024; Liu et al. 2025, arXiv:2502.16982).

    `m <- mu m + g; p <- (1 - lr decay) p - lr stretch 0.2 sqrt(max(r, c)) U V^T`, where `U S V^T` is `g + mu m` as
    an (r, c) matrix: a convolution's weights are (out, in * height * width). What is not listed as a matrix is moved
    by AdamW with the same rate.

    Args:
        matrices: parameters of two axes or more.
        others: all other parameters.
        lr: learning rate.
        stretch: of the matrices' steps, times the size that AdamW's would have.
        momentum: mu.
        betas: of AdamW.
        eps: of AdamW.
        decay: weight decay, decoupled.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        others: Iterable[Tensor],
        lr: float,
        *,
        stretch: float = 1.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        decay: float = 0.01,
    ) -> None:
        usual = {"lr": lr, "stretch": stretch, "momentum": momentum, "betas": betas, "eps": eps, "decay": decay}
        groups: list[dict[str, Any]] = [
            {"params": list(matrices), "matrix": True},
            {"params": list(others), "matrix": False},
        ]
        super().__init__([group for group in groups if group["params"]], usual)
        for group in self.param_groups:
            flat = [tuple(p.shape) for p in group["params"] if group["matrix"] and p.ndim < 2]
            if flat:
                raise ValueError(f"a matrix has two axes or more: got {flat[0]}; list it among the others")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step along the gradients that are there."""
        if closure is not None:
            raise ValueError("Muon takes no closure: compute the gradients before the step")
        for group in self.param_groups:
            moved = [(p, p.grad) for p in group["params"] if p.grad is not None]
            if group["matrix"] and moved:
                self._matrices(moved, group)
            else:
                for p, gradient in moved:
                    self._adam(p, gradient, group)

    def _matrices(self, moved: list[tuple[Tensor, Tensor]], group: dict[str, Any]) -> None:
        sums = [self._momentum(p, gradient, group["momentum"]) for p, gradient in moved]
        threads = torch.get_num_threads() if sums[0].device.type == "cpu" else 1
        if threads == 1:
            steps = [orthogonalize(total) for total in sums]
        else:
            with (
                single_threaded(),
                ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
            ):
                steps = list(pool.map(orthogonalize, sums))
        for (p, _), step in zip(moved, steps, strict=True):
            size = group["stretch"] * _ALIKE * math.sqrt(max(step.shape))
            p.mul_(1 - group["lr"] * group["decay"]).add_(step.view_as(p), alpha=-group["lr"] * size)

    def _momentum(self, p: Tensor, gradient: Tensor, mu: float) -> Tensor:
        """`g + mu m` after `m <- mu m + g`, as a matrix."""
        held = self.state[p]
        if not held:
            held["momentum"] = torch.zeros_like(p)
        held["momentum"].mul_(mu).add_(gradient)
        return gradient.add(held["momentum"], alpha=mu).flatten(1)

    def _adam(self, p: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        held, (first, second) = self.state[p], group["betas"]
        if not held:
            held |= {"step": 0, "mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
        held["step"] += 1
        held["mean"].lerp_(gradient, 1 - first)
        held["square"].lerp_(gradient.square(), 1 - second)
        scale = (held["square"] / (1 - second ** held["step"])).sqrt_().add_(group["eps"])
        p.mul_(1 - group["lr"] * group["decay"])
        p.addcdiv_(held["mean"], scale, value=-group["lr"] / (1 - first ** held["step"]))


@torch.no_grad()
def orthogonalize(matrix: Float[Tensor, "r c"]) -> Float[Tensor, "r c"]:
    """About `U V^T` of `matrix = U S V^T`: singular values near 1, by five rounds of `a x + b x x^T x + c (x x^T)^2 x`.

    Products are in bfloat16 where the matrix is nearly square; where it is long, the polynomial is taken of the small
    `x x^T` in single precision and applied once, which is cheaper.
    """
    x = matrix.float() if matrix.shape[0] <= matrix.shape[1] else matrix.float().T
    x = x / (x.norm() + 1e-12)
    a, b, c = _QUINTIC
    if x.shape[1] < _LONG * x.shape[0]:
        x = x.bfloat16()
        for _ in range(_ROUNDS):
            square = x @ x.T
            x = a * x + (b * square + c * square @ square) @ x
    else:
        square, whole = x @ x.T, None
        for _ in range(_ROUNDS):
            factor = torch.addmm(b * square, square, square, alpha=c)
            factor.diagonal().add_(a)
            whole = factor if whole is None else factor @ whole
            square = factor @ square @ factor
        x = (whole if whole is not None else square).bfloat16() @ x.bfloat16()
    x = x.to(matrix.dtype)
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


def split_parameters(module: torch.nn.Module, *, plain: tuple[str, ...] = ()) -> tuple[list[Tensor], list[Tensor]]:
    """A network's matrices, and all else: vectors, and what a name that begins with one of `plain` keeps out."""
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, p in module.named_parameters():
        (matrices if p.ndim >= 2 and not name.startswith(plain) else others).append(p)
    return matrices, others
