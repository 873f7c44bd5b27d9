"""Data-parallel gradient of a batch over CPU threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor, nn

from modeseek.io.thread_pool import single_threaded

Rows = dict[str, Tensor]


def accumulate_gradient(examples: Rows, loss: Callable[[Rows], Tensor], parameters: Sequence[nn.Parameter]) -> float:
    """Sets the parameters' gradients of the mean loss of a batch, and returns the loss.

    On a CPU each of PyTorch's threads computes a share of the batch on its own: threads inside one convolution
    synchronise many times, which is slow if other programs use a core. Gradients are summed in the order of the
    shares.

    Args:
        examples: tensors with leading axis b.
        loss: mean loss over examples, without random draws.
        parameters: parameters, all used by the loss.
    """
    b = len(next(iter(examples.values())))
    threads = min(b, torch.get_num_threads()) if parameters[0].device.type == "cpu" else 1
    if threads == 1:
        shares = [_gradient(loss, parameters, b, examples)]
    else:
        bounds = {name: rows.tensor_split(threads) for name, rows in examples.items()}
        parts = [{name: rows[i] for name, rows in bounds.items()} for i in range(threads)]
        with single_threaded(), ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            shares = list(pool.map(partial(_gradient, loss, parameters, b), parts))
    for number, parameter in enumerate(parameters):
        gradient = shares[0][1][number]
        for _, more in shares[1:]:
            gradient += more[number]
        parameter.grad = gradient
    return sum(value for value, _ in shares)


def _gradient(
    loss: Callable[[Rows], Tensor], parameters: Sequence[nn.Parameter], b: int, part: Rows
) -> tuple[float, list[Tensor]]:
    share = loss(part) * (len(next(iter(part.values()))) / b)
    return share.item(), list(torch.autograd.grad(share, parameters))
