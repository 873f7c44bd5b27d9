"""Where a run stands: kept as checkpoints, and found again, however many processes work on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from modeseek.distill import block_size
from modeseek.generators.base import render
from modeseek.rng import Streams
from modeseek.rundir.checkpoint import newest_checkpoint, write_checkpoint, list_checkpoints
from modeseek.rundir.environment import peak_device_memory_mb, peak_memory_mb
from modeseek.rundir.run_dir import Run
from modeseek.rundir.state_sharding import gather_state, without_modules, shard_state
from modeseek.rundir.status import Status, utc_now
from modeseek.runs.build import RunObjects
from modeseek.runs.guard import GuardState
from modeseek.runs.interrupts import RunFailed
from modeseek.runs.process_group import ProcessGroup
from modeseek.runs.recorder import Recorder


@dataclass(frozen=True)
class RunContext:
    """A run under way, as one process sees it.

    Attributes:
        run: its folder; only the first process touches it.
        job: what it works with.
        recorder: of its steps.
        crew: the processes.
    """

    run: Run
    objects: RunObjects
    recorder: Recorder
    process_group: ProcessGroup

    @property
    def own_rows(self) -> slice:
        """This process's items of a step."""
        return self.process_group.distributed.shard(self.objects.batch, block_size(self.objects.method, self.objects.conditions))


@dataclass
class RunState:
    """Where a run is: what a checkpoint holds beside generator and optimizer.

    Attributes:
        step: steps done.
        method: its state, of this process's items.
        watch: over its pictures.
        attempt: rollbacks.
        seconds: of optimising.
        calls: of the prior, by all processes.
    """

    step: int = 0
    method_state: Any = None
    guard_state: GuardState = GuardState()
    attempt: int = 0
    seconds: float = 0.0
    calls: int = 0

    def checkpoint_contents(self, objects: RunObjects, method_state: Any) -> dict[str, Any]:
        """What a checkpoint keeps, the method's state being that of all items."""
        return {
            "generator": objects.generator,
            "optimizer": objects.optimizer,
            "method": method_state,
            "watch": self.guard_state,
            "attempt": self.attempt,
            "seconds": self.seconds,
            "calls": self.calls,
            "torch_rng": torch.get_rng_state(),
        }

    def status(self, context: RunContext) -> Status:
        """As `status.json` tells it."""
        kept = list_checkpoints(context.run.path / "checkpoints")
        return replace(
            context.run.status,
            step=self.step,
            checkpoint=int(kept[-1].name.removeprefix("step-")) if kept else None,
            seconds=self.seconds,
            calls=self.calls,
            peak_memory_mb=peak_memory_mb(),
            peak_device_memory_mb=peak_device_memory_mb(context.objects.config.device),
            rollbacks=self.attempt,
            updated=utc_now(),
        )


def save_checkpoint(context: RunContext, state: RunState) -> None:
    """A checkpoint; metrics first, so that none is ahead of them.

    Raises:
        Failed: a parameter that is not finite.
    """
    for name, parameter in context.objects.generator.named_parameters():  # pyright: ignore[reportAttributeAccessIssue]
        if not parameter.isfinite().all():
            raise RunFailed(f"{name} is not finite after step {state.step - 1}; lower the learning rate")
    method = _gather_method_state(context, state.method_state)
    if context.process_group.is_main_process:
        context.recorder.sync()
        _write_checkpoint(context, state, method)
        state.status(context).write(context.run.path)


def load_checkpoint(context: RunContext) -> RunState:
    """The place of the newest whole checkpoint, or the start; metrics beyond it are cut off."""
    run, job, crew = context.run, context.objects, context.process_group
    checkpoint, damaged = crew.broadcast(newest_checkpoint(run.path / "checkpoints") if crew.is_main_process else None)
    for line in damaged:
        context.recorder.log(f"{line}; using {'the one before it' if checkpoint else 'the start'}")
    place = RunState()
    if checkpoint is not None:
        z, items = _current_z(job)
        held = checkpoint.restore(place.checkpoint_contents(job, job.method.init(z, job.prior)), job.config.device)
        method = held["method"]
        if crew.distributed.size > 1:
            method = shard_state(method, context.own_rows, job.batch, items[context.own_rows])
        place = RunState(checkpoint.step, method, held["watch"], held["attempt"], held["seconds"], held["calls"])
        torch.set_rng_state(held["torch_rng"])
        context.recorder.log(f"resumed at step {place.step}")
    context.recorder.truncate(place.step)
    return place


def rollback(context: RunContext, state: RunState) -> None:
    """Moves a place to the last checkpoint, or the start: with half the learning rate and other draws, kept as such."""
    if context.process_group.broadcast(newest_checkpoint(context.run.path / "checkpoints")[0] is None if context.process_group.is_main_process else None):
        fresh = context.objects.rebuild()
        context.objects.generator, context.objects.optimizer = fresh.generator, fresh.optimizer
    for name, value in vars(load_checkpoint(context)).items():
        setattr(state, name, value)
    state.attempt += 1
    state.guard_state = GuardState(lived=state.guard_state.lived)
    method = _gather_method_state(context, state.method_state)
    if context.process_group.is_main_process:
        _write_checkpoint(context, state, method)
    context.recorder.log(f"back at step {state.step} with half the learning rate and other random draws")


def _write_checkpoint(context: RunContext, state: RunState, method: Any) -> None:
    write_checkpoint(context.run.path / "checkpoints", state.step, state.checkpoint_contents(context.objects, method), context.objects.config.saving.keep)


def _gather_method_state(context: RunContext, state: Any) -> Any:
    """The method's state of all items, in the first process."""
    if context.process_group.distributed.size == 1:
        return state
    parts = context.process_group.gather((without_modules(state), context.own_rows))
    states = [state, *(part for part, _ in parts[1:])]
    return gather_state(states, [rows.stop - rows.start for _, rows in parts]) if context.process_group.is_main_process else None


def _current_z(job: RunObjects) -> tuple[torch.Tensor, tuple[int, ...]]:
    """What the prior would see now, and of which items."""
    with torch.no_grad():
        view = job.generator.view(job.batch, Streams(job.config.seed, use="view"))
        return job.codec.encode(render(job.generator, view).image).detach(), view.items
