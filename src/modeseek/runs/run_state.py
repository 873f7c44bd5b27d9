"""State of a run in progress: saved to and loaded from checkpoints, with any number of processes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch

from modeseek.generators.base import render
from modeseek.methods.base import block_size
from modeseek.rng import Streams
from modeseek.rundir.checkpoint import Checkpoint, list_checkpoints, newest_checkpoint, write_checkpoint
from modeseek.rundir.environment import peak_device_memory_mb, peak_memory_mb
from modeseek.rundir.run_dir import Run
from modeseek.rundir.state_sharding import gather_state, shard_state, without_modules
from modeseek.rundir.status import Status, utc_now
from modeseek.runs.build import RunObjects
from modeseek.runs.divergence import check_magnitude
from modeseek.runs.interrupts import RunFailed
from modeseek.runs.process_group import ProcessGroup
from modeseek.runs.recorder import Recorder
from modeseek.runs.render_guard import GuardState


@dataclass
class RunState:
    """Resumable state of a run, beside the generator and the optimizer.

    Attributes:
        step: number of completed steps.
        method_state: state of the method, for this process's items.
        guard_state: state of the guard that watches the renderings.
        attempt: number of rollbacks.
        seconds: time spent optimising, over all sessions.
        calls: number of prior calls of all processes.
    """

    step: int = 0
    method_state: Any = None
    guard_state: GuardState = GuardState()
    attempt: int = 0
    seconds: float = 0.0
    calls: int = 0

    @classmethod
    def from_status(cls, status: Status) -> RunState:
        """What `status.json` knows of the state, until the checkpoint is loaded."""
        return cls(status.step, attempt=status.rollbacks, seconds=status.seconds, calls=status.calls)

    def checkpoint_contents(self, objects: RunObjects, method_state: Any) -> dict[str, Any]:
        """Contents of a checkpoint; `method_state` is that of all items."""
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
        """Contents of `status.json`."""
        checkpoints = list_checkpoints(context.run.path / "checkpoints")
        return replace(
            context.run.status,
            step=self.step,
            checkpoint=int(checkpoints[-1].name.removeprefix("step-")) if checkpoints else None,
            seconds=self.seconds,
            calls=self.calls,
            peak_memory_mb=peak_memory_mb(),
            peak_device_memory_mb=peak_device_memory_mb(context.objects.config.device),
            rollbacks=self.attempt,
            updated=utc_now(),
        )


@dataclass
class RunContext:
    """Run in progress, as one process sees it.

    Attributes:
        run: run folder; only rank 0 reads or writes it.
        objects: prior, method, generator and optimizer of the run.
        recorder: writer of metrics, log and previews.
        process_group: processes of the run.
        state: current state; `load_checkpoint` and `rollback` give the one to start from.
    """

    run: Run
    objects: RunObjects
    recorder: Recorder
    process_group: ProcessGroup
    state: RunState = field(default_factory=RunState)

    @property
    def own_rows(self) -> slice:
        """Rows of a step's batch that belong to this process."""
        block = block_size(self.objects.method, self.objects.conditions)
        return self.process_group.distributed.shard(self.objects.batch, block)


def save_checkpoint(context: RunContext) -> None:
    """Writes a checkpoint and the status; syncs the metrics first, so that no checkpoint is ahead of them.

    Raises:
        RunFailed: a parameter is not finite, or beyond all measure.
    """
    for name, parameter in context.objects.generator.named_parameters():
        if not parameter.isfinite().all():
            raise RunFailed(f"{name} is not finite after step {context.state.step - 1}; lower the learning rate")
        after = f"{name} after step {context.state.step - 1}"
        check_magnitude(parameter, after, "the learning rate", context.objects.loaded.extent)
    method_state = _gather_method_state(context)
    if context.process_group.is_main_process:
        context.recorder.sync()
        _write_checkpoint(context, method_state)
        context.state.status(context).write(context.run.path)


def load_checkpoint(context: RunContext) -> RunState:
    """State of the newest intact checkpoint, or of the start; generator and optimizer are loaded in place.

    Metrics and previews of later steps are removed.
    """
    objects, group = context.objects, context.process_group
    checkpoint, damaged = group.broadcast(_newest_checkpoint(context) if group.is_main_process else None)
    for line in damaged:
        context.recorder.log(f"{line}; using {'the checkpoint before it' if checkpoint else 'the start'}")
    state = RunState()
    if checkpoint is not None:
        z, particles = _current_z(objects)
        template = state.checkpoint_contents(objects, objects.method.init(z, objects.prior))
        contents = checkpoint.restore(template, objects.config.device)
        method_state = contents["method"]
        if group.distributed.size > 1:
            method_state = shard_state(method_state, context.own_rows, objects.batch, particles[context.own_rows])
        state = RunState(
            checkpoint.step,
            method_state,
            contents["watch"],
            contents["attempt"],
            contents["seconds"],
            contents["calls"],
        )
        torch.set_rng_state(contents["torch_rng"])
        context.recorder.log(f"resumed at step {state.step}")
    context.recorder.truncate(state.step)
    return state


def rollback(context: RunContext) -> None:
    """Returns to the newest checkpoint, or the start, with half the learning rate and a new seed.

    The checkpoint is rewritten with the new attempt, so that resuming keeps both.
    """
    group = context.process_group
    if group.broadcast(_newest_checkpoint(context)[0] is None if group.is_main_process else None):
        initial = context.objects.rebuild()
        context.objects.generator, context.objects.optimizer = initial.generator, initial.optimizer
        context.objects.initialize = initial.initialize
    state = context.state = load_checkpoint(context)
    state.attempt += 1
    state.guard_state = GuardState(lived=state.guard_state.lived)
    method_state = _gather_method_state(context)
    if group.is_main_process:
        _write_checkpoint(context, method_state)
    context.recorder.log(f"back at step {state.step} with half the learning rate and a new random seed")


def _newest_checkpoint(context: RunContext) -> tuple[Checkpoint | None, list[str]]:
    return newest_checkpoint(context.run.path / "checkpoints")


def _write_checkpoint(context: RunContext, method_state: Any) -> None:
    state, objects = context.state, context.objects
    contents = state.checkpoint_contents(objects, method_state)
    write_checkpoint(context.run.path / "checkpoints", state.step, contents, objects.config.saving.keep)


def _gather_method_state(context: RunContext) -> Any:
    """Method state of all items on rank 0, None on the other ranks."""
    group, state = context.process_group, context.state.method_state
    if group.distributed.size == 1:
        return state
    parts = group.gather((without_modules(state), context.own_rows))
    states = [state, *(part for part, _ in parts[1:])]
    return gather_state(states, [rows.stop - rows.start for _, rows in parts]) if group.is_main_process else None


def _current_z(objects: RunObjects) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Input of the prior for the current generator, and the particle that each item shows."""
    with torch.no_grad():
        view = objects.generator.view(objects.batch, Streams(objects.config.seed, use="view"))
        return objects.codec.encode(render(objects.generator, view).image).detach(), view.particle_of_item
