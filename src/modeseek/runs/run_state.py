"""Where a run stands: kept as checkpoints, and found again, however many processes work on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from modeseek.distill import block_size
from modeseek.generators.base import render
from modeseek.rng import Streams
from modeseek.rundir.checkpoint import newest, save, stored
from modeseek.rundir.environment import peak_device_memory_mb, peak_memory_mb
from modeseek.rundir.run_dir import Run
from modeseek.rundir.state_sharding import gathered, portable, taken
from modeseek.rundir.status import Status, now
from modeseek.runs.build import RunObjects
from modeseek.runs.guard import Watch
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
    job: RunObjects
    recorder: Recorder
    crew: ProcessGroup

    @property
    def mine(self) -> slice:
        """This process's items of a step."""
        return self.crew.team.share(self.job.batch, block_size(self.job.method, self.job.conditions))


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
    method: Any = None
    watch: Watch = Watch()
    attempt: int = 0
    seconds: float = 0.0
    calls: int = 0

    def packed(self, job: RunObjects, method: Any) -> dict[str, Any]:
        """What a checkpoint keeps, the method's state being that of all items."""
        return {
            "generator": job.generator,
            "optimizer": job.optimizer,
            "method": method,
            "watch": self.watch,
            "attempt": self.attempt,
            "seconds": self.seconds,
            "calls": self.calls,
            "torch_rng": torch.get_rng_state(),
        }

    def status(self, work: RunContext) -> Status:
        """As `status.json` tells it."""
        kept = stored(work.run.path / "checkpoints")
        return replace(
            work.run.status,
            step=self.step,
            checkpoint=int(kept[-1].name.removeprefix("step-")) if kept else None,
            seconds=self.seconds,
            calls=self.calls,
            peak_memory_mb=peak_memory_mb(),
            peak_device_memory_mb=peak_device_memory_mb(work.job.config.device),
            rollbacks=self.attempt,
            updated=now(),
        )


def save_checkpoint(work: RunContext, place: RunState) -> None:
    """A checkpoint; metrics first, so that none is ahead of them.

    Raises:
        Failed: a parameter that is not finite.
    """
    for name, parameter in work.job.generator.named_parameters():  # pyright: ignore[reportAttributeAccessIssue]
        if not parameter.isfinite().all():
            raise RunFailed(f"{name} is not finite after step {place.step - 1}; lower the learning rate")
    method = _of_all(work, place.method)
    if work.crew.first:
        work.recorder.sync()
        _write(work, place, method)
        place.status(work).write(work.run.path)


def load_checkpoint(work: RunContext) -> RunState:
    """The place of the newest whole checkpoint, or the start; metrics beyond it are cut off."""
    run, job, crew = work.run, work.job, work.crew
    checkpoint, damaged = crew.broadcast(newest(run.path / "checkpoints") if crew.first else None)
    for line in damaged:
        work.recorder.note(f"{line}; using {'the one before it' if checkpoint else 'the start'}")
    place = RunState()
    if checkpoint is not None:
        z, items = _seen(job)
        held = checkpoint.restore(place.packed(job, job.method.init(z, job.prior)), job.config.device)
        method = held["method"]
        if crew.team.size > 1:
            method = taken(method, work.mine, job.batch, items[work.mine])
        place = RunState(checkpoint.step, method, held["watch"], held["attempt"], held["seconds"], held["calls"])
        torch.set_rng_state(held["torch_rng"])
        work.recorder.note(f"resumed at step {place.step}")
    work.recorder.cut(place.step)
    return place


def rollback(work: RunContext, place: RunState) -> None:
    """Moves a place to the last checkpoint, or the start: with half the learning rate and other draws, kept as such."""
    if work.crew.broadcast(newest(work.run.path / "checkpoints")[0] is None if work.crew.first else None):
        fresh = work.job.again()
        work.job.generator, work.job.optimizer = fresh.generator, fresh.optimizer
    for name, value in vars(load_checkpoint(work)).items():
        setattr(place, name, value)
    place.attempt += 1
    place.watch = Watch(lived=place.watch.lived)
    method = _of_all(work, place.method)
    if work.crew.first:
        _write(work, place, method)
    work.recorder.note(f"back at step {place.step} with half the learning rate and other random draws")


def _write(work: RunContext, place: RunState, method: Any) -> None:
    save(work.run.path / "checkpoints", place.step, place.packed(work.job, method), work.job.config.saving.keep)


def _of_all(work: RunContext, state: Any) -> Any:
    """The method's state of all items, in the first process."""
    if work.crew.team.size == 1:
        return state
    parts = work.crew.gather((portable(state), work.mine))
    states = [state, *(part for part, _ in parts[1:])]
    return gathered(states, [rows.stop - rows.start for _, rows in parts]) if work.crew.first else None


def _seen(job: RunObjects) -> tuple[torch.Tensor, tuple[int, ...]]:
    """What the prior would see now, and of which items."""
    with torch.no_grad():
        view = job.generator.view(job.batch, Streams(job.config.seed, use="view"))
        return job.codec.encode(render(job.generator, view).image).detach(), view.items
