"""Score distillation loop: a Python generator that yields one optimisation step at a time; break out to stop early."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.codec import Codec, Frame, Identity, draw_frame
from modeseek.distributed import Distributed, parameters_of
from modeseek.generators.base import Generator, Rendering, View, advance, render, renders_images
from modeseek.generators.relocation import Relocation, relocate
from modeseek.methods.base import (
    Direction,
    Method,
    RenderContext,
    block_size,
    check_accumulate,
    check_inner_steps,
    check_method,
)
from modeseek.methods.batches import Batch, gather_batches, values_of
from modeseek.methods.held_target import check_step, check_target, hold_target
from modeseek.priors.base import Conditions, Prior, select_conditions
from modeseek.priors.prompts import codec_of, encode_prompts
from modeseek.rng import Rng, Streams, as_rng, at_step

Regularizer = Callable[[Rendering, float], Tensor]
_SHARED = (0,)  # stream of what all items of a step share


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
        relocation: elements of the generator that were relocated after the update; None for none.
    """

    index: int
    z: Tensor
    image: Tensor
    direction: Direction
    losses: dict[str, float]
    state: Any
    relocation: Relocation | None = None


def distill(
    generator: Generator,
    prior: Prior,
    method: Method,
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    start: int = 0,
    batch: int = 1,
    inner_steps: int = 1,
    accumulate: int = 1,
    conditions: str | Sequence[str] | Conditions | Callable[[View], Conditions] | None = None,
    codec: Codec | None = None,
    regularizers: Sequence[Regularizer] = (),
    rng: int | Rng,
    state: Any = None,
    distributed: Distributed | None = None,
) -> Iterator[Step]:
    """Optimises a generator towards the modes of a prior.

    Each step renders a view, computes `dL/dz` by the method and backpropagates it through the generator:
    `z.backward(gradient=grad / items)`, the mean over items and the sum within an item. Progress is
    `index / (steps - 1)`. With `Streams`, random numbers are keyed by step and item; a torch.Generator is drawn from
    in sequence.

    After each step a generator of elements that can die relocates them (`RelocatingGenerator`). The gradient of a group
    of parameters that has a `max_norm` is clipped to it before each update.

    With `inner_steps` > 1 the generator follows each target further, without a prior call: a direction is
    `w (z - target)`, so the same view is rendered again and descends `w (z' - target)` with the target held, as
    majorise-minimise algorithms do (mean shift is one) and as Instruct-NeRF2NeRF's edited images are held for several
    steps (Haque et al. 2023, arXiv 2303.12789). It pays where a generator follows slowly and prior calls are dear.

    Args:
        generator: generator whose renderings are optimised.
        prior: diffusion prior, bare or guided as the method requires.
        method: score distillation method: MSD, SDS, SDI ...
        optimizer: optimizer over the generator's parameters.
        steps: number of optimisation steps of the whole run, >= 1.
        start: index of the first step, > 0 when resuming.
        batch: number of items per evaluation of the method, >= 1.
        inner_steps: number of optimizer steps towards each direction's target, >= 1; above 1 for methods whose
            directions have a target (`has_target`): MSD, SDS, SDI, PFD, ISM, VSD, ESD, ASD, and `Debiased` of these.
        accumulate: number of batches per update of the optimizer, >= 1: gradients are the mean over all items of all
            batches, rendered and evaluated one batch after the other, at the memory of one. Views, noise and noise
            levels are drawn anew for each batch; of a 3D generator k batches of n are one batch of k n items. The
            method's state advances with every batch.
        conditions: conditions of the prior: a prompt, prompts (item i has prompt i modulo their number), fixed
            conditions, or a function of the view.
        codec: map from image to z; None is the prior's own for a generator that renders images, and the identity where
            the prior has none. Of a random one (`Shifted`) each step draws one frame for all items.
        regularizers: functions of (rendering, progress) whose values are added to the loss.
        rng: source of all random numbers: a seed (`Streams(seed)`), `Streams` or a torch.Generator.
        state: method state to resume from; None initialises it.
        distributed: processes that share the items of each step: `Distributed.current()` where there are several. Each
            calls `distill` with the same arguments and makes the same updates. None: this process alone.

    Yields:
        One `Step` per step, at the prior calls of one method step per batch; its rows are those of all batches in
        order, and `direction.prediction` is None where there are several. With several processes each yields the same
        tensors, gathered over all items, except `state`, which holds the process's own items; `direction.eps` and
        `direction.prediction` are not gathered and are None.

    Raises:
        TypeError: a class instead of an object, or an argument of another wrong type.
        ValueError: invalid steps, start, batch, accumulate or inner_steps, inner steps for a method whose directions
            have no target, renderings that are no z of the prior, or a batch that cannot be split over the processes.
        FloatingPointError: a direction, a penalty, or the gradient of a parameter is not finite; the message names the
            step and the row, penalty or parameter. Nothing was updated by then.
    """
    check_method(method)
    if not isinstance(generator, Generator):
        raise TypeError(f"generator must be such as ms.Points(z) or ms.Field(...), got {type(generator).__name__}")
    if not hasattr(prior, "at"):
        raise TypeError(
            f"prior must be such as ms.bundled('scenes') or ms.Pipeline.load(...), got {type(prior).__name__}"
        )
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer must be such as torch.optim.Adam(generator.parameters()), got {optimizer!r:.60}")
    if steps < 1 or not 0 <= start <= steps or batch < 1:
        raise ValueError(f"distill needs steps >= 1, 0 <= start <= steps, batch >= 1: got {steps}, {start}, {batch}")
    check_inner_steps(inner_steps, method)
    check_accumulate(accumulate)
    rng, conditions = as_rng(rng), encode_prompts(conditions, prior, batch)
    distributed = Distributed() if distributed is None else distributed
    if distributed.size > 1 and not isinstance(rng, Streams):
        raise ValueError(
            "with several processes rng must be Streams (one stream per item), got a Generator; pass ms.Streams(seed)"
        )
    if codec is None:
        codec = (codec_of(prior) if renders_images(generator) else None) or Identity()
    penalties = dict(zip(_regularizer_names(regularizers), regularizers, strict=True))
    own_rows = distributed.shard(batch, block_size(method, conditions))
    fraction, share = (own_rows.stop - own_rows.start) / batch, 1 / accumulate
    names = {id(p): name for name, p in generator.named_parameters()} if isinstance(generator, torch.nn.Module) else {}
    distributed.broadcast_parameters(parameters_of(optimizer))
    with ExitStack() as stack:
        for index in range(start, steps):
            progress = index / max(1, steps - 1)
            advance(generator, progress)
            views = [generator.view(batch, at_step(rng, index, use="view"))]
            views += [
                generator.view(batch, at_step(rng, index, tuple(range(k * batch, (k + 1) * batch)), use="view"))
                for k in range(1, accumulate)
            ]
            frame = draw_frame(codec, at_step(rng, index, _SHARED, use="codec"))
            parts: list[Batch] = []
            seen: set[int] = set()
            optimizer.zero_grad(set_to_none=True)
            for number, view in enumerate(views):
                items, use = len(view.items), "" if seen.isdisjoint(view.items) else f"batch {number}"
                seen.update(view.items)
                view = view if distributed.size == 1 else view.select(own_rows)
                z, context = _render(generator, view, frame)
                if index == start and not parts:
                    _check_shape(z, prior)
                    state = method.init(z.detach(), prior) if state is None else state
                    stack.enter_context(distributed.sync_auxiliary(state, fraction))
                direction, state = method.step(
                    z.detach(),
                    prior,
                    state,
                    conditions=_own_conditions(conditions, view, own_rows, distributed),
                    progress=progress,
                    rng=at_step(rng, index, view.items, use),
                    context=context,
                )
                if inner_steps > 1:
                    check_target(direction, method)
                rendered, z_before = context.rendering.image, z.detach().clone()
                image_before = z_before if rendered is z else rendered.detach().clone()
                losses = _losses(penalties, share * fraction, context, progress)
                _backpropagate(direction, z, context.image, list(losses.values()), accumulate * items)
                parts.append(Batch(view, items, z_before, image_before, direction, values_of(losses)))
            rows = gather_batches(parts, distributed, parameters_of(optimizer), own_rows)
            step = Step(index, rows.z, rows.image, rows.direction, rows.losses, state)
            check_step(step.direction, parameters_of(optimizer), step.losses, index, names)
            _update(optimizer)
            for _ in range(inner_steps - 1):
                optimizer.zero_grad(set_to_none=True)
                held_parts: list[Batch] = []
                for part in parts:
                    z, context = _render(generator, part.view, frame)
                    held = hold_target(part.direction, part.z, z.detach())
                    losses = _losses(penalties, share * fraction, context, progress)
                    _backpropagate(held, z, context.image, list(losses.values()), accumulate * part.items)
                    held_parts.append(replace(part, direction=held, losses=values_of(losses)))
                rows = gather_batches(held_parts, distributed, parameters_of(optimizer), own_rows)
                check_step(rows.direction, parameters_of(optimizer), rows.losses, index, names)
                _update(optimizer)
            relocation = relocate(generator, optimizer, index, at_step(rng, index, _SHARED, use="relocation"))
            yield step if relocation is None else replace(step, relocation=relocation)


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


def _check_shape(z: Tensor, prior: Prior) -> None:
    """Raises ValueError if renderings, encoded or not, have other axes or channels than the z of the prior."""
    if z.ndim != len(prior.shape) + 1 or z.shape[1] != prior.shape[0]:
        raise ValueError(
            f"the generator must render what the prior evaluates, items of shape {tuple(prior.shape)}, got "
            f"{tuple(z.shape[1:])}; try another number of channels, or codec=..."
        )


def _losses(
    penalties: dict[str, Regularizer], fraction: float, context: RenderContext, progress: float
) -> dict[str, Tensor]:
    """Values of the regularizers, attached to the graph; their share of this process and batch."""
    return {name: fraction * penalty(context.rendering, progress) for name, penalty in penalties.items()}


def _render(generator: Generator, view: View, frame: Frame) -> tuple[Tensor, RenderContext]:
    """Input of the prior for a view, and the rendering behind it."""
    rendering = render(generator, view)
    image = frame.move(rendering.image)
    z = frame.codec.encode(image)
    particle = view.particle_of_row(len(z)).to(z.device, non_blocking=True)
    item = torch.tensor(view.items).to(z.device, non_blocking=True)
    return z, RenderContext(view, rendering, image, frame.codec, item, particle)


def _update(optimizer: torch.optim.Optimizer) -> None:
    """Updates the parameters, the gradient of each group clipped to the norm that it has as `max_norm`, if any."""
    for group in optimizer.param_groups:
        if group.get("max_norm", math.inf) < math.inf:
            torch.nn.utils.clip_grad_norm_(group["params"], group["max_norm"])
    optimizer.step()


def _backpropagate(direction: Direction, z: Tensor, image: Tensor, losses: list[Tensor], items: int) -> None:
    """Computes the gradients of the parameters: the direction's mean over the items, and those of the losses."""
    roots: list[Tensor] = [z, *losses]
    grads: list[Tensor | None] = [direction.grad / items, *(None for _ in losses)]
    if direction.grad_image is not None:
        roots.append(image)
        grads.append(direction.grad_image / items)
    torch.autograd.backward(roots, grads)


def _own_conditions(
    conditions: Conditions | Callable[[View], Conditions] | None, view: View, rows: slice, distributed: Distributed
) -> Conditions | None:
    """Conditions of the items of this process, which the view shows."""
    if callable(conditions):
        return conditions(view)
    if conditions is None or distributed.size == 1:
        return conditions
    return select_conditions(conditions, torch.arange(rows.start, rows.stop))


def _regularizer_names(regularizers: Sequence[Regularizer]) -> list[str]:
    """Name of each regularizer; repeats of a name get a number: sparsity, sparsity_2 ..."""
    plain = [getattr(regularizer, "__name__", type(regularizer).__name__) for regularizer in regularizers]
    return [f"{name}_{n}" if (n := plain[: i + 1].count(name)) > 1 else name for i, name in enumerate(plain)]
