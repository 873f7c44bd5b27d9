"""Muon for a network, in batches of equal shapes, on the matrix of each weight, convolutions included."""

# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false
# torch's optimizers update lists of tensors by torch._foreach_*, which have no public name.
from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.io.thread_pool import single_threaded

DECAY = 0.01  # decoupled weight decay, times the learning rate
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ROUNDS, _EPS = 5, 1e-7
_ADAMW_RMS = 0.2  # root mean square of AdamW's steps relative to the learning rate


class BatchedMuon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024; Liu et al. 2025, arXiv:2502.16982) on weights as matrices (out, everything else).

    `m <- momentum m + (1 - momentum) g`, `w <- (1 - lr decay) w - 0.2 sqrt(max(rows, columns)) stretch lr O`, where O
    is the orthogonalized Nesterov direction `(1 - momentum) g + momentum m`. These are the steps of `torch.optim.Muon`
    with `adjust_lr_fn="match_rms_adamw"`, which takes matrices one by one; here weights of equal shape are one batch
    of products, the state exists from the start and the learning rate is a tensor: a CUDA graph can hold a step.
    On a CPU the products are computed by one thread: more would mostly wait for each other.

    Args:
        weights: contiguous parameters with two or more axes.
        stretch: size of the steps relative to AdamW's of the same learning rate, > 0.
        momentum: momentum coefficient in [0, 1).
    """

    def __init__(self, weights: Sequence[Tensor], stretch: float = 1.0, momentum: float = 0.95) -> None:
        shapes = [tuple(weight.shape) for weight in weights if weight.ndim < 2 or not weight.is_contiguous()]
        if shapes:
            raise ValueError(f"weights must have two or more axes and be contiguous, got shape {shapes[0]}; try AdamW")
        lr = torch.zeros((), device=weights[0].device)
        super().__init__([{"params": list(weights)}], {"lr": lr, "stretch": stretch, "momentum": momentum})
        for weight in weights:
            self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Updates all weights that have a gradient."""
        assert closure is None, "Muon evaluates no closure"
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            with single_threaded() if weights and weights[0].device.type == "cpu" else nullcontext():
                self._update(weights, group["lr"], group["stretch"], group["momentum"])

    def _update(self, weights: list[Tensor], lr: Tensor, stretch: float, momentum: float) -> None:
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        buffers = [self.state[weight]["momentum_buffer"] for weight in weights]
        torch._foreach_lerp_(buffers, gradients, 1 - momentum)
        directions = torch._foreach_lerp(gradients, buffers, momentum)
        by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, direction in enumerate(directions):
            by_shape[tuple(direction.flatten(1).shape)].append(index)
        changes = list(weights)
        for shape, indices in by_shape.items():
            steps = orthogonalize(torch.stack([directions[i].flatten(1) for i in indices]))
            steps = steps * (-_ADAMW_RMS * math.sqrt(max(shape)) * stretch * lr)
            for i, change in zip(indices, steps.unbind(0), strict=True):
                changes[i] = change.view_as(weights[i])
        torch._foreach_mul_(weights, 1 - lr * DECAY)
        torch._foreach_add_(weights, changes)


def orthogonalize(matrices: Float[Tensor, "k r c"]) -> Float[Tensor, "k r c"]:
    """Five rounds of Jordan et al.'s quintic on the singular values of each matrix, with products in bfloat16.

    Singular values far above zero, relative to the Frobenius norm, end between about 0.7 and 1.2.
    """
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT.contiguous() if tall else x
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=_EPS)
    a, b, c = _QUINTIC
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices).contiguous()


def split_parameters(
    module: nn.Module, *, plain: tuple[str, ...] = ()
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Splits parameters into matrices and others: vectors, and names that begin with one of `plain`."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, p in module.named_parameters():
        (matrices if p.ndim >= 2 and not name.startswith(plain) else others).append(p)
    return matrices, others
