"""Score distillation loop: a Python generator that yields one optimisation step at a time; break out to stop early."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.codec import Codec, Identity
from modeseek.distributed import Distributed, parameters_of
from modeseek.generators.base import Generator, ProgressiveGenerator, Rendering, View, render
from modeseek.methods.base import Direction, Grouped, Method, RenderContext
from modeseek.priors.base import Conditions, Prior, select_conditions
from modeseek.rng import Rng, Streams

Regularizer = Callable[[Rendering, float], Tensor]


@dataclass(frozen=True)
class Step:
    """Record of one optimisation step, yielded after the optimizer update.

    Attributes:
        index: index of the step, from 0.
        z: input of the prior before the update, detached.
        image: rendering before the update, detached; the same tensor as z where the codec is the identity.
        direction: descent direction that the method returned.
        losses: value of each regularizer, by name.
        state: method state after the step, for resuming.
    """

    index: int
    z: Tensor
    image: Tensor
    direction: Direction
    losses: dict[str, float]
    state: Any


def distill(
    generator: Generator,
    prior: Prior,
    method: Method,
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    start: int = 0,
    batch: int = 1,
    conditions: Conditions | Callable[[View], Conditions] | None = None,
    codec: Codec | None = None,
    regularizers: Sequence[Regularizer] = (),
    rng: Rng,
    state: Any = None,
    distributed: Distributed | None = None,
) -> Iterator[Step]:
    """Optimises a generator towards the modes of a prior.

    Each step renders a view, computes `dL/dz` by the method and backpropagates it through the generator:
    `z.backward(gradient=grad / items)`, the mean over items and the sum within an item. Progress is
    `index / (steps - 1)`. With `Streams`, random numbers are keyed by step and item; a torch.Generator is drawn from
    in sequence.

    Args:
        generator: generator whose renderings are optimised.
        prior: diffusion prior, bare or guided as the method requires.
        method: score distillation method: MSD, SDS, SDI ...
        optimizer: optimizer over the generator's parameters.
        steps: number of optimisation steps of the whole run, >= 1.
        start: index of the first step, > 0 when resuming.
        batch: number of items per step, >= 1.
        conditions: conditions of the prior: fixed, or a function of the view.
        codec: map from image to z; default identity.
        regularizers: functions of (rendering, progress) whose values are added to the loss.
        rng: source of all random numbers.
        state: method state to resume from; None initialises it.
        distributed: processes that share the items of each step: `Distributed.current()` where there are several. Each
            calls `distill` with the same arguments and makes the same updates. None: this process alone.

    Yields:
        One `Step` per step, at the prior calls of one method step. With several processes each yields the same tensors,
        gathered over all items, except `state`, which holds the process's own items; `direction.eps` and
        `direction.prediction` are not gathered and are None.

    Raises:
        ValueError: invalid steps, start or batch, or a batch that cannot be split over the processes.
        FloatingPointError: a direction is not finite; the message names step, noise level and row.
    """
    if steps < 1 or not 0 <= start <= steps or batch < 1:
        raise ValueError(f"distill needs steps >= 1, 0 <= start <= steps, batch >= 1: got {steps}, {start}, {batch}")
    distributed = Distributed() if distributed is None else distributed
    if distributed.size > 1 and not isinstance(rng, Streams):
        raise ValueError(
            "with several processes rng must be Streams (one stream per item), got a Generator; pass ms.Streams(seed)"
        )
    codec = Identity() if codec is None else codec
    names, parameters = _regularizer_names(regularizers), parameters_of(optimizer)
    own_rows = distributed.shard(batch, block_size(method, conditions))
    fraction = (own_rows.stop - own_rows.start) / batch
    distributed.broadcast_parameters(parameters)
    with ExitStack() as stack:
        for index in range(start, steps):
            progress = index / max(1, steps - 1)
            if isinstance(generator, ProgressiveGenerator):
                generator.advance(progress)
            view = generator.view(batch, rng.at(index, use="view") if isinstance(rng, Streams) else rng)
            items = len(view.items)
            view = view if distributed.size == 1 else view.select(own_rows)
            step_rng = rng.at(index, view.items) if isinstance(rng, Streams) else rng
            rendering = render(generator, view)
            image = rendering.image
            z = codec.encode(image)
            if state is None:
                state = method.init(z.detach(), prior)
            if index == start:
                stack.enter_context(distributed.sync_auxiliary(state, fraction))
            if callable(conditions):
                step_conditions = conditions(view)
            else:
                step_conditions = _shard_conditions(conditions, own_rows, distributed)
            context = RenderContext(view, rendering, image, codec, torch.tensor(view.items, device=z.device))
            direction, state = method.step(
                z.detach(),
                prior,
                state,
                conditions=step_conditions,
                progress=progress,
                rng=step_rng,
                context=context,
            )
            penalties = {name: fraction * r(rendering, progress) for name, r in zip(names, regularizers, strict=True)}
            roots: list[Tensor] = [z, *penalties.values()]
            grads: list[Tensor | None] = [direction.grad / items, *(None for _ in penalties)]
            if direction.grad_image is not None:
                roots.append(image)
                grads.append(direction.grad_image / items)
            z_before = z.detach().clone()
            image_before = z_before if image is z else image.detach().clone()
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(roots, grads)
            losses = {name: value.item() for name, value in penalties.items()}
            own_step = Step(index, z_before, image_before, direction, losses, state)
            step = _all_gather_step(distributed, own_step, parameters, own_rows, items)
            check_finite(step.direction, index)
            optimizer.step()
            yield step


def surrogate(
    z: Float[Tensor, "b *d"], grad: Float[Tensor, "b *d"], reduction: Literal["mean", "sum"] = "mean"
) -> Float[Tensor, ""]:
    """Surrogate loss for a custom training loop: a scalar whose gradient in z is `grad` (divided by b for "mean").

    Loss weights, gradient accumulation and AMP scaling work as usual. The value of the scalar has no meaning.
    """
    if z.shape != grad.shape:
        raise ValueError(f"z and grad must have the same shape, got {tuple(z.shape)} and {tuple(grad.shape)}")
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
    total = (z * grad.detach()).sum()
    return total / len(z) if reduction == "mean" else total


def block_size(*parts: object) -> int | None:
    """Number of consecutive items that a method and its conditions need in one process; None: all items."""
    blocks = [part.block for part in parts if isinstance(part, Grouped)]
    return None if None in blocks else math.lcm(*(block or 1 for block in blocks))


def check_finite(direction: Direction, index: int) -> None:
    """Raises FloatingPointError, naming step, noise level and row, if the direction is not finite."""
    if direction.grad.sum().isfinite():
        return
    bad = ~direction.grad.flatten(1).isfinite().all(1)
    if bad.any():
        row = int(bad.nonzero()[0, 0])
        level = "" if direction.t is None else f", t = {direction.t[row].item():.4g}"
        raise FloatingPointError(
            f"the direction is not finite at step {index}, row {row}{level} ({int(bad.sum())} of {len(bad)} rows); "
            "lower the learning rate or check the prior's precision"
        )


def _shard_conditions(conditions: Conditions | None, rows: slice, distributed: Distributed) -> Conditions | None:
    """Rows of fixed conditions that belong to this process's items."""
    if conditions is None or distributed.size == 1:
        return conditions
    return select_conditions(conditions, torch.arange(rows.start, rows.stop))


def _all_gather_step(
    distributed: Distributed, step: Step, parameters: Sequence[Tensor], own_rows: slice, n: int
) -> Step:
    """Sums the gradients over all processes and gathers the rows of their steps into one step of all n items."""
    if distributed.size == 1:
        return step
    own = step.direction
    image = None if step.image is step.z else step.image
    optional = {"z": step.z, "image": image, "grad": own.grad, "grad_image": own.grad_image, "t": own.t}
    rows = {name: value for name, value in optional.items() if value is not None}
    rows |= {f"log {name}": value if value.is_floating_point() else value.double() for name, value in own.logs.items()}
    dtype = torch.promote_types(step.z.dtype, torch.float32)  # float32 z: same dtype as gradients, one message
    losses = torch.tensor(list(step.losses.values()), dtype=dtype, device=step.z.device)
    *summed, losses = distributed.sum_gradients(
        parameters, [*(distributed.scatter_rows(value, own_rows, n) for value in rows.values()), losses]
    )
    gathered = dict(zip(rows, summed, strict=True))
    logs = {name: gathered[f"log {name}"] for name in own.logs}
    direction = Direction(gathered["grad"], gathered.get("grad_image"), gathered.get("t"), logs=logs)
    return Step(
        step.index,
        gathered["z"],
        gathered.get("image", gathered["z"]),
        direction,
        dict(zip(step.losses, losses.tolist(), strict=True)),
        step.state,
    )


def _regularizer_names(regularizers: Sequence[Regularizer]) -> list[str]:
    """Name of each regularizer; repeats of a name get a number: sparsity, sparsity_2 ..."""
    plain = [getattr(regularizer, "__name__", type(regularizer).__name__) for regularizer in regularizers]
    return [f"{name}_{n}" if (n := plain[: i + 1].count(name)) > 1 else name for i, name in enumerate(plain)]
