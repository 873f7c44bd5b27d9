"""One run from its first step to its report: every step logged, guarded, and kept often enough."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import torch

from modeseek.config.config import Config
from modeseek.distill import Step, distill
from modeseek.io.progress import Progress
from modeseek.rng import Streams
from modeseek.rundir.checkpoint import stored
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import now
from modeseek.runs.build import RunObjects
from modeseek.runs.exports import export_run
from modeseek.runs.interrupts import RunFailed, RunInterrupted, StopRequest, stop_on_signal
from modeseek.runs.process_group import ProcessGroup
from modeseek.runs.recorder import Silent, recording
from modeseek.runs.run_state import RunContext, RunState, load_checkpoint, rollback, save_checkpoint

_THRIFT = 50  # a checkpoint is followed by at least so many times its own cost


def optimise(
    run: Run, job: RunObjects, steps: int, remarks: Sequence[str] = (), crew: ProcessGroup | None = None
) -> Generator[Progress, None, None]:
    """Works on a run until it has `steps` steps, from its newest whole checkpoint if it has one.

    On the CPU the result does not depend on where it was interrupted, bit for bit. Ctrl-C and SIGTERM end it after
    the step at hand. Checkpoints and pictures cost no prior calls; the report is written however it ends.

    Of several processes the first one writes; the others render and ask for their share of the items of each step.

    Args:
        run: what is worked on; only the first process touches it.
        job: what it works with.
        steps: in all.
        remarks: lines for its log.
        crew: the processes, by default those that were started together.

    Raises:
        Stopped: it was asked to, or the disk is full; the message says how to go on.
        Failed: a direction that is not finite, or a render that went wrong.
        ValueError: another process works on it, or its checkpoints belong to something else.
        OSError: the folder cannot be written to.
    """
    crew = ProcessGroup.current() if crew is None else crew
    if not crew.first:
        yield from _assist(run, job, steps, crew)
        return
    with run.locked(), stop_on_signal() as wish, recording(run, job.config) as recorder:
        before = run.status
        status = replace(before, state="running", reason="", steps=steps, sessions=before.sessions + 1, updated=now())
        status.write(run.path)
        for line in remarks:
            recorder.note(line)
        work = RunContext(run, job, recorder, crew)
        place = load_checkpoint(work)
        try:
            with crew.propagate_errors():
                yield from _travel(work, place, steps, wish)
                export_run(run, job, recorder)
                crew.broadcast(None)  # the others wait, so that what comes next finds what was left
            _end(work, place, "finished", "")
        except RunInterrupted as error:
            _end(work, place, "stopped", str(error))
            raise
        except RunFailed as error:
            _end(work, place, "failed", str(error))
            raise
        except OSError as error:
            reason = f"{error.strerror or error} at step {place.step}"
            try:
                _end(work, place, "stopped", reason)
            except OSError as second:
                error.add_note(f"nor could the reason be written: {second}")
            raise RunInterrupted(
                f"{reason} ({error.filename or run.path}); {_kept(run)}; make room, then: modeseek resume {run.path}"
            ) from error
        except ValueError as error:
            _end(work, place, "failed", str(error))
            raise
        except (KeyboardInterrupt, GeneratorExit):
            _end(work, place, "stopped", f"interrupted at step {place.step}; {_kept(run)}")
            raise


def _assist(run: Run, job: RunObjects, steps: int, crew: ProcessGroup) -> Generator[Progress, None, None]:
    """What every process but the first does."""
    with stop_on_signal() as wish, crew.propagate_errors():
        work = RunContext(run, job, Silent(), crew)
        yield from _travel(work, load_checkpoint(work), steps, wish)
        crew.broadcast(None)


def _travel(work: RunContext, place: RunState, steps: int, wish: StopRequest) -> Generator[Progress, None, None]:
    """The walk to the end, with one rollback where that is allowed."""
    while True:
        try:
            yield from _walk(work, place, steps, wish)
            return
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise RunFailed(f"out of memory at step {place.step}; optimise fewer or smaller items") from error
        except (FloatingPointError, RunFailed) as error:
            if work.job.config.on_failure != "rollback" or place.attempt > 0:
                raise RunFailed(f"{error} [{_advice(work.run)}]") from error
            work.recorder.note(f"rolling back once: {error}")
            rollback(work, place)


def _walk(work: RunContext, place: RunState, steps: int, wish: StopRequest) -> Generator[Progress, None, None]:
    run, job, recorder, crew = work.run, work.job, work.recorder, work.crew
    config, painter = job.config, job.painter()
    seed = config.seed if place.attempt == 0 else _other_seed(config.seed, place.attempt)
    saved_at, cost, began = time.perf_counter(), 0.0, time.perf_counter() - place.seconds
    walk = distill(
        job.generator,
        job.prior,
        job.method,
        job.optimizer,
        steps=steps,
        start=min(place.step, steps),
        batch=job.batch,
        conditions=job.conditions,
        codec=job.codec,
        regularizers=job.regularizers,
        rng=Streams(seed),
        state=place.method,
        team=crew.team,
    )
    before = place.calls - job.counting.calls if crew.first else -job.counting.calls
    _pace(job, place, steps)
    if crew.first and job.turnable and place.step == 0 and config.previews:
        recorder.picture(0, painter.draw(job.render()))
    for step in walk:
        place.seconds = time.perf_counter() - began
        due = crew.first and _due(config, step.index + 1, time.perf_counter() - saved_at, cost)
        wished, due, calls = crew.sum((bool(wish.signal), due, before + job.counting.calls))
        place.calls = round(calls)
        recorder.step(step, job, place.seconds, place.calls)
        if recorder.pictures(step.index, steps):
            if not job.turnable:
                recorder.picture(step.index, painter.draw(job.shown(step.image)))
            elif step.index:  # the move was made
                recorder.picture(step.index + 1, painter.draw(job.render()))
        if job.pixels and config.guard.active:
            place.watch = place.watch.look(step.image, config.guard, step.index, steps)
        place.step, place.method = step.index + 1, step.state
        _pace(job, place, steps)
        asked = wished and (wish.signal or "another process")  # one that comes from here on counts after the next step
        if asked or place.step == steps or (due and not place.watch.streak):  # never keep what looks wrong
            began_saving = time.perf_counter()
            save_checkpoint(work, place)
            saved_at = time.perf_counter()
            cost = saved_at - began_saving
        if asked and place.step < steps:
            raise RunInterrupted(f"{asked} after step {place.step} of {steps}; go on with: modeseek resume {run.path}")
        yield Progress("optimising", place.step, steps, _note(step))
    if crew.first:
        recorder.picture(place.step, painter.draw(job.render()))


def _pace(job: RunObjects, place: RunState, steps: int) -> None:
    """The rate of the step that comes next; half of it after a rollback."""
    rate = job.config.optimizer.rate(min(1.0, place.step / max(1, steps - 1))) / 2**place.attempt
    for group in job.optimizer.param_groups:
        group["lr"] = rate


def _due(config: Config, done: int, seconds: float, cost: float) -> bool:
    """Whether a checkpoint is due after so many steps, so many seconds after the last one, which took `cost`."""
    if config.saving.steps is not None:
        return done % config.saving.steps == 0
    return seconds >= max(config.saving.seconds, _THRIFT * cost)


def _end(work: RunContext, place: RunState, state: Any, reason: str) -> None:
    from modeseek.reports.run_page import write_run_page  # not needed until now, and not light

    work.recorder.note(f"{state} at step {place.step}" + (f": {reason}" if reason else ""))
    work.recorder.sync()
    replace(place.status(work), state=state, reason=reason).write(work.run.path)
    write_run_page(work.run)


def _other_seed(seed: int, attempt: int) -> int:
    digest = hashlib.blake2b(repr((seed, "attempt", attempt)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def _note(step: Step) -> str:
    logs = step.direction.logs
    if "relative_shift" in logs:
        return f"shift {logs['relative_shift'].mean().item():.2e}, h {logs['bandwidth'].mean().item():.3g}"
    return f"|g| {step.direction.grad.flatten(1).norm(dim=1).mean().item():.3g}"


def _kept(run: Run) -> str:
    kept = stored(run.path / "checkpoints")
    return f"kept up to step {int(kept[-1].name.removeprefix('step-'))}" if kept else "no checkpoint was due yet"


def _advice(run: Run) -> str:
    return f"{_kept(run)}; --on-failure rollback goes back once by itself"
