"""Muon optimizer: orthogonalised momentum for matrices, AdamW for all other parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.io.thread_pool import single_threaded

_QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan et al.: maps singular values in (0, 1] to about [0.7, 1.2]
_ROUNDS = 5  # iterations of the quintic
_ADAMW_RMS = 0.2  # root mean square of AdamW's steps in units of its learning rate, after Liu et al.
_LONG = 2.0  # aspect ratio from which the small product is iterated instead


class Muon(torch.optim.Optimizer):
    """Muon optimizer (Jordan et al. 2024; Liu et al. 2025, arXiv:2502.16982), with AdamW for non-matrices.

    `m <- mu m + g; p <- (1 - lr decay) p - lr stretch 0.2 sqrt(max(r, c)) U V^T`, where `U S V^T` is `g + mu m` as
    an (r, c) matrix: a convolution's weights are (out, in * height * width). All other parameters are updated by AdamW
    with the same learning rate.

    Args:
        matrices: parameters with two or more axes.
        others: all other parameters.
        lr: learning rate.
        stretch: size of the matrices' steps relative to AdamW's.
        momentum: momentum coefficient mu.
        betas: moment coefficients of AdamW.
        eps: denominator offset of AdamW.
        decay: decoupled weight decay.
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
        defaults = {"lr": lr, "stretch": stretch, "momentum": momentum, "betas": betas, "eps": eps, "decay": decay}
        groups: list[dict[str, Any]] = [
            {"params": list(matrices), "matrix": True},
            {"params": list(others), "matrix": False},
        ]
        super().__init__([group for group in groups if group["params"]], defaults)
        for group in self.param_groups:
            vectors = [tuple(p.shape) for p in group["params"] if group["matrix"] and p.ndim < 2]
            if vectors:
                raise ValueError(
                    f"matrices must have two or more axes, got shape {vectors[0]}; try listing it among others"
                )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Updates all parameters that have a gradient."""
        if closure is not None:
            raise ValueError("closure must be None for Muon, got a closure; compute the gradients before the step")
        for group in self.param_groups:
            updates = [(p, p.grad) for p in group["params"] if p.grad is not None]
            if group["matrix"] and updates:
                self._matrices(updates, group)
            else:
                for p, gradient in updates:
                    self._adam(p, gradient, group)

    def _matrices(self, updates: list[tuple[Tensor, Tensor]], group: dict[str, Any]) -> None:
        sums = [self._momentum(p, gradient, group["momentum"]) for p, gradient in updates]
        threads = torch.get_num_threads() if sums[0].device.type == "cpu" else 1
        if threads == 1:
            steps = [orthogonalize(total) for total in sums]
        else:
            with (
                single_threaded(),
                ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
            ):
                steps = list(pool.map(orthogonalize, sums))
        for (p, _), step in zip(updates, steps, strict=True):
            size = group["stretch"] * _ADAMW_RMS * math.sqrt(max(step.shape))
            p.mul_(1 - group["lr"] * group["decay"]).add_(step.view_as(p), alpha=-group["lr"] * size)

    def _momentum(self, p: Tensor, gradient: Tensor, mu: float) -> Tensor:
        """`g + mu m` after `m <- mu m + g`, as a matrix."""
        state = self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p)
        state["momentum"].mul_(mu).add_(gradient)
        return gradient.add(state["momentum"], alpha=mu).flatten(1)

    def _adam(self, p: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, (first, second) = self.state[p], group["betas"]
        if not state:
            state |= {"step": 0, "mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
        state["step"] += 1
        state["mean"].lerp_(gradient, 1 - first)
        state["square"].lerp_(gradient.square(), 1 - second)
        scale = (state["square"] / (1 - second ** state["step"])).sqrt_().add_(group["eps"])
        p.mul_(1 - group["lr"] * group["decay"])
        p.addcdiv_(state["mean"], scale, value=-group["lr"] / (1 - first ** state["step"]))


@torch.no_grad()
def orthogonalize(matrix: Float[Tensor, "r c"]) -> Float[Tensor, "r c"]:
    """Approximates `U V^T` of `matrix = U S V^T`, with singular values near 1.

    Five rounds of `a x + b x x^T x + c (x x^T)^2 x`. Products are in bfloat16 for nearly square matrices; for long ones
    the polynomial of the small `x x^T` is computed in single precision and applied once, which is cheaper.
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
        square, product = x @ x.T, None
        for _ in range(_ROUNDS):
            factor = torch.addmm(b * square, square, square, alpha=c)
            factor.diagonal().add_(a)
            product = factor if product is None else factor @ product
            square = factor @ square @ factor
        x = (product if product is not None else square).bfloat16() @ x.bfloat16()
    x = x.to(matrix.dtype)
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


def split_parameters(module: torch.nn.Module, *, plain: tuple[str, ...] = ()) -> tuple[list[Tensor], list[Tensor]]:
    """Splits parameters into matrices and others: vectors, and names that begin with one of `plain`."""
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, p in module.named_parameters():
        (matrices if p.ndim >= 2 and not name.startswith(plain) else others).append(p)
    return matrices, others
