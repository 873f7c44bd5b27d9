"""Muon for a network: PyTorch's, on the matrix of each weight, convolutions included, and AdamW for the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from modeseek.io.thread_pool import single_threaded

DECAY = 0.01  # decoupled weight decay


class MatrixMuon(torch.optim.Muon):
    """Muon (Jordan et al. 2024; Liu et al. 2025, arXiv:2502.16982) on weights as matrices (out, everything else).

    `torch.optim.Muon` takes matrices only. Here each of its parameters is a view of a weight, and the weight's
    gradient becomes that of the view. On a CPU its many small products are computed by one thread: more would mostly
    wait for each other.

    Args:
        weights: contiguous parameters with two or more axes.
        stretch: size of the steps relative to AdamW's of the same learning rate, > 0; also the value "stretch" of the
            group, by which the learning rate is to be multiplied.
        momentum: momentum coefficient in [0, 1).
    """

    def __init__(self, weights: Sequence[Tensor], stretch: float = 1.0, momentum: float = 0.95) -> None:
        shapes = [tuple(weight.shape) for weight in weights if weight.ndim < 2 or not weight.is_contiguous()]
        if shapes:
            raise ValueError(f"weights must have two or more axes and be contiguous, got shape {shapes[0]}; try AdamW")
        views = [nn.Parameter(weight.detach().flatten(1)) for weight in weights]
        super().__init__(
            [{"params": views, "stretch": stretch}],
            lr=0.0,
            weight_decay=DECAY / stretch,
            momentum=momentum,
            adjust_lr_fn="match_rms_adamw",
        )
        self._pairs = list(zip(views, weights, strict=True))

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Updates all weights that have a gradient."""
        for view, weight in self._pairs:
            view.grad = None if weight.grad is None else weight.grad.flatten(1)
        with single_threaded() if self._pairs[0][0].device.type == "cpu" else nullcontext():
            return super().step(closure)


def split_parameters(module: nn.Module, *, plain: tuple[str, ...] = ()) -> tuple[list[Tensor], list[Tensor]]:
    """Splits parameters into matrices and others: vectors, and names that begin with one of `plain`."""
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, p in module.named_parameters():
        (matrices if p.ndim >= 2 and not name.startswith(plain) else others).append(p)
    return matrices, others
