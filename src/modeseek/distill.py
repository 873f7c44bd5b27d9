"""The loop: a Python generator of steps. Stop early by not asking for more."""

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
    """One step of a run, after the optimizer moved.

    Attributes:
        index: of the step, from 0.
        z: what the prior saw before the move, detached.
        image: what the generator rendered before the move, detached; z itself where no codec stands between.
        direction: the method's answer.
        losses: value of each regularizer, by name.
        state: the method's state after the step, for resuming.
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

    Each step renders a view, asks the method for `dL/dz` and injects it: `z.backward(gradient=grad / items)`, the mean
    over items and the sum within an item. progress is `index / (steps - 1)`. With `Streams`, step and items key the
    draws; a torch.Generator is simply drawn from.

    Args:
        generator: renders images.
        prior: bare or guided, as the method wants it.
        method: MSD, SDS, SDI ...
        optimizer: over the generator's parameters.
        steps: of the whole run.
        start: index of the first step, when resuming.
        batch: items a step.
        conditions: what the prior is told, fixed or a function of the view.
        codec: from image to z; default identity.
        regularizers: functions of (rendering, progress), added to the loss.
        rng: all randomness.
        state: the method's, when resuming.
        team: the processes that share the items of each step, `Team.current()` where there are several; each calls
            `distill` with the same arguments and makes the same moves. None: this one alone.

    Yields:
        A `Step` per step; costs what the method's step costs. Of a team each process gets the same, of all items, but
        for `state`, which is of its own, and the direction's `eps` and `prediction`, which stay behind.

    Raises:
        ValueError: bad steps, start or batch; items that the team cannot share.
        FloatingPointError: a direction that is not finite, naming step, level and row.
    """
    if steps < 1 or not 0 <= start <= steps or batch < 1:
        raise ValueError(f"distill needs steps >= 1, 0 <= start <= steps, batch >= 1: got {steps}, {start}, {batch}")
    distributed = Distributed() if distributed is None else distributed
    if distributed.size > 1 and not isinstance(rng, Streams):
        raise ValueError("several processes draw each item's numbers from its own stream: got a Generator; use Streams")
    codec = Identity() if codec is None else codec
    names, moved = _regularizer_names(regularizers), parameters_of(optimizer)
    own_rows = distributed.shard(batch, block_size(method, conditions))
    fraction = (own_rows.stop - own_rows.start) / batch
    distributed.broadcast_parameters(moved)
    with ExitStack() as stack:
        for index in range(start, steps):
            progress = index / max(1, steps - 1)
            if isinstance(generator, ProgressiveGenerator):
                generator.advance(progress)
            view = generator.view(batch, rng.at(index, use="view") if isinstance(rng, Streams) else rng)
            items = len(view.items)
            view = view if distributed.size == 1 else view.select(own_rows)
            draw = rng.at(index, view.items) if isinstance(rng, Streams) else rng
            rendering = render(generator, view)
            image = rendering.image
            z = codec.encode(image)
            if state is None:
                state = method.init(z.detach(), prior)
            if index == start:
                stack.enter_context(distributed.sync_auxiliary(state, fraction))
            told = conditions(view) if callable(conditions) else _shard_conditions(conditions, own_rows, distributed)
            context = RenderContext(view, rendering, image, codec, torch.tensor(view.items, device=z.device))
            direction, state = method.step(
                z.detach(), prior, state, conditions=told, progress=progress, rng=draw, context=context
            )
            penalties = {name: fraction * r(rendering, progress) for name, r in zip(names, regularizers, strict=True)}
            roots: list[Tensor] = [z, *penalties.values()]
            grads: list[Tensor | None] = [direction.grad / items, *(None for _ in penalties)]
            if direction.grad_image is not None:
                roots.append(image)
                grads.append(direction.grad_image / items)
            before = z.detach().clone()
            seen = before if image is z else image.detach().clone()
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(roots, grads)
            losses = {name: value.item() for name, value in penalties.items()}
            step = _all_gather_step(distributed, Step(index, before, seen, direction, losses, state), moved, own_rows, items)
            check_finite(step.direction, index)
            optimizer.step()
            yield step


def surrogate(
    z: Float[Tensor, "b *d"], grad: Float[Tensor, "b *d"], reduction: Literal["mean", "sum"] = "mean"
) -> Float[Tensor, ""]:
    """A scalar whose gradient in z is `grad` (over b for "mean"): for people with their own loop.

    Loss weights, gradient accumulation and AMP scaling then work as usual. Its value means nothing.
    """
    if z.shape != grad.shape:
        raise ValueError(f"z and grad must have one shape: got {tuple(z.shape)} and {tuple(grad.shape)}; match them")
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is 'mean' or 'sum': got {reduction!r}; choose one")
    total = (z * grad.detach()).sum()
    return total / len(z) if reduction == "mean" else total


def block_size(*parts: object) -> int | None:
    """How many consecutive items must be in one process for a method and its conditions; None: all."""
    blocks = [part.block for part in parts if isinstance(part, Grouped)]
    return None if None in blocks else math.lcm(*(block or 1 for block in blocks))


def check_finite(direction: Direction, index: int) -> None:
    """FloatingPointError where a direction is not finite, naming step, level and row."""
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
    """Fixed conditions of this process's items."""
    if conditions is None or distributed.size == 1:
        return conditions
    return select_conditions(conditions, torch.arange(rows.start, rows.stop))


def _all_gather_step(distributed: Distributed, own: Step, moved: Sequence[Tensor], own_rows: slice, n: int) -> Step:
    """Adds up the gradients of all processes, and puts together what each of them saw in its step."""
    if distributed.size == 1:
        return own
    told = own.direction
    image = None if own.image is own.z else own.image
    rows = {"z": own.z, "image": image, "grad": told.grad, "grad_image": told.grad_image, "t": told.t}
    held = {name: value for name, value in rows.items() if value is not None}
    held |= {f"log {name}": value if value.is_floating_point() else value.double() for name, value in told.logs.items()}
    exact = torch.promote_types(own.z.dtype, torch.float32)  # one message, where z is float32 as gradients are
    losses = torch.tensor(list(own.losses.values()), dtype=exact, device=own.z.device)
    *summed, losses = distributed.sum_gradients(
        moved, [*(distributed.scatter_rows(value, own_rows, n) for value in held.values()), losses]
    )
    all_ = dict(zip(held, summed, strict=True))
    logs = {name: all_[f"log {name}"] for name in told.logs}
    direction = Direction(all_["grad"], all_.get("grad_image"), all_.get("t"), logs=logs)
    return Step(
        own.index,
        all_["z"],
        all_.get("image", all_["z"]),
        direction,
        dict(zip(own.losses, losses.tolist(), strict=True)),
        own.state,
    )


def _regularizer_names(regularizers: Sequence[Regularizer]) -> list[str]:
    """What each is called, a number after the second of a name and all that follow."""
    plain = [getattr(regularizer, "__name__", type(regularizer).__name__) for regularizer in regularizers]
    return [f"{name}_{n}" if (n := plain[: i + 1].count(name)) > 1 else name for i, name in enumerate(plain)]
