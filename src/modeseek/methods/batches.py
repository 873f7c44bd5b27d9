"""Batches of one optimisation step: their rows, gathered over the batches and over the processes of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.distributed import Distributed
from modeseek.generators.base import View
from modeseek.methods.base import Direction
from modeseek.pytree import map_tensors


@dataclass(frozen=True)
class Batch:
    """Batch of a step: its view, and its rows before the update.

    Attributes:
        view: view that this process rendered.
        items: number of items over all processes.
        z: input of the prior, detached.
        image: rendering, detached; the same tensor as z where the codec is the identity.
        direction: direction of the method.
        losses: value of each penalty, by name.
    """

    view: View
    items: int
    z: Float[Tensor, "b *d"]
    image: Tensor
    direction: Direction
    losses: dict[str, float]

    @property
    def rows(self) -> Any:
        """Tree of tensors with one row per row of z; logs as floating-point numbers."""
        own = self.direction
        logs = {name: value if value.is_floating_point() else value.double() for name, value in own.logs.items()}
        image = None if self.image is self.z else self.image
        return self.z, image, own.grad, own.grad_image, own.t, own.weight, logs

    def with_rows(self, rows: Any) -> Batch:
        """Returns the batch with other rows, a tree as of `rows`."""
        z, image, grad, grad_image, t, weight, logs = rows
        direction = Direction(grad, grad_image, t, weight=weight, logs=logs)
        return replace(self, z=z, image=z if image is None else image, direction=direction)

    @classmethod
    def concatenate(cls, parts: Sequence[Batch]) -> Batch:
        """Returns the rows of several batches as one, and the sums of their penalties; one batch is itself."""
        first = parts[0]
        if len(parts) == 1:
            return first
        z = torch.cat([part.z for part in parts])
        image = z if first.image is first.z else torch.cat([part.image for part in parts])
        losses = {name: sum(part.losses[name] for part in parts) for name in first.losses}
        direction = Direction.concatenate([part.direction for part in parts])
        return cls(first.view, sum(part.items for part in parts), z, image, direction, losses)


def gather_batches(
    parts: Sequence[Batch], distributed: Distributed, parameters: Sequence[Tensor], own_rows: slice
) -> Batch:
    """Sums the gradients over all processes, and returns the rows of all batches and processes as one batch.

    Args:
        parts: batches of a step, with the rows of this process.
        distributed: processes of the run.
        parameters: parameters whose gradients are summed, in place.
        own_rows: rows of each batch that belong to this process.
    """
    if distributed.size == 1:
        return Batch.concatenate(parts)
    rows = tuple(scatter_rows(part.rows, distributed, own_rows, part.items) for part in parts)
    total = Batch.concatenate(parts).losses
    dtype = torch.promote_types(parts[0].z.dtype, torch.float32)  # that of gradients of float32 z: one message
    losses = torch.tensor(list(total.values()), dtype=dtype, device=parts[0].z.device)
    rows, losses = distributed.sum_gradients(parameters, (rows, losses))
    gathered = Batch.concatenate([part.with_rows(own) for part, own in zip(parts, rows, strict=True)])
    return replace(gathered, losses=dict(zip(total, losses.tolist(), strict=True)))


def scatter_rows(tensors: Any, distributed: Distributed, own_rows: slice, n: int) -> Any:
    """Returns the rows of this process at their place among all n, zeros elsewhere, in a tree of tensors."""
    return map_tensors(lambda value: distributed.scatter_rows(value, own_rows, n), tensors)


def values_of(losses: dict[str, Tensor]) -> dict[str, float]:
    """Returns the values of penalties as numbers."""
    return {name: value.item() for name, value in losses.items()}
