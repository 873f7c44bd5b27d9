"""Number of points of a volume whose gradient fits the memory of an accelerator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_PROBE = 512  # points that are evaluated to learn what one costs
_SHARE = 0.25  # of the free memory; the rest holds the samples of all rays, the prior and what both compute meanwhile
_OVERHEAD = 2.0  # bytes in use at the peak of the backward pass per byte that the forward pass saved
_LEAST = 2**14  # points; fewer cost more in launches than they save


def points_that_fit(function: Callable[[Tensor], tuple[Tensor, ...]], like: Tensor) -> int | None:
    """Returns the number of points per evaluation of a function of points; None on a CPU: all of them.

    What a point costs is measured on a few, the free memory is that of the device and what torch holds of it unused.
    The number is rounded down to a power of two, so that equal runs on one card take equal chunks.

    Args:
        function: differentiable function of points (m, 3).
        like: parameter of the volume: its dtype and device.
    """
    if like.device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(like.device)
    unused = torch.cuda.memory_reserved(like.device) - torch.cuda.memory_allocated(like.device)
    cost = _OVERHEAD * saved_bytes_per_point(function, like)
    return chunk_within(_SHARE * (free + unused), cost)


def chunk_within(memory: float, bytes_per_point: float) -> int:
    """Returns the largest power of two of points within a memory in bytes, and 16,384 at least."""
    fitting = max(int(memory / max(bytes_per_point, 1.0)), 1)
    return max(2 ** (fitting.bit_length() - 1), _LEAST)


def saved_bytes_per_point(function: Callable[[Tensor], tuple[Tensor, ...]], like: Tensor) -> float:
    """Returns the bytes per point that a function saves for its backward pass, its parameters apart."""
    points = torch.zeros(_PROBE, 3, dtype=like.dtype, device=like.device)
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    alive: list[Tensor] = []  # outputs keep what was saved, so that no address is used twice
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        alive.extend(function(points))
    own = {parameter.untyped_storage().data_ptr() for parameter in leaves(alive)}
    return sum(size for address, size in saved.items() if address not in own) / _PROBE


def leaves(outputs: list[Tensor]) -> list[Tensor]:
    """Returns the parameters that outputs depend on."""
    found, seen = list[Tensor](), set[object]()
    pending = [output.grad_fn for output in outputs]
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None:
            found.append(variable)
        pending += [after for after, _ in node.next_functions]
    return found
