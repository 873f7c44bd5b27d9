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
from modeseek.rundir.checkpoint import list_checkpoints
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import utc_now
from modeseek.runs.build import RunObjects
from modeseek.runs.exports import export_run
from modeseek.runs.interrupts import RunFailed, RunInterrupted, StopRequest, stop_on_signal
from modeseek.runs.process_group import ProcessGroup
from modeseek.runs.recorder import NullRecorder, open_recorder
from modeseek.runs.run_state import RunContext, RunState, load_checkpoint, rollback, save_checkpoint

_CHECKPOINT_THRIFT = 50  # a checkpoint is followed by at least so many times its own cost


def train(
    run: Run, objects: RunObjects, steps: int, remarks: Sequence[str] = (), process_group: ProcessGroup | None = None
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
    process_group = ProcessGroup.current() if process_group is None else process_group
    if not process_group.is_main_process:
        yield from _train_worker(run, objects, steps, process_group)
        return
    with run.locked(), stop_on_signal() as stop_request, open_recorder(run, objects.config) as recorder:
        before = run.status
        status = replace(before, state="running", reason="", steps=steps, sessions=before.sessions + 1, updated=utc_now())
        status.write(run.path)
        for line in remarks:
            recorder.log(line)
        context = RunContext(run, objects, recorder, process_group)
        state = load_checkpoint(context)
        try:
            with process_group.propagate_errors():
                yield from _train_with_rollback(context, state, steps, stop_request)
                export_run(run, objects, recorder)
                process_group.broadcast(None)  # the others wait, so that what comes next finds what was left
            _write_outcome(context, state, "finished", "")
        except RunInterrupted as error:
            _write_outcome(context, state, "stopped", str(error))
            raise
        except RunFailed as error:
            _write_outcome(context, state, "failed", str(error))
            raise
        except OSError as error:
            reason = f"{error.strerror or error} at step {state.step}"
            try:
                _write_outcome(context, state, "stopped", reason)
            except OSError as second:
                error.add_note(f"nor could the reason be written: {second}")
            raise RunInterrupted(
                f"{reason} ({error.filename or run.path}); {_last_checkpoint(run)}; make room, then: modeseek resume {run.path}"
            ) from error
        except ValueError as error:
            _write_outcome(context, state, "failed", str(error))
            raise
        except (KeyboardInterrupt, GeneratorExit):
            _write_outcome(context, state, "stopped", f"interrupted at step {state.step}; {_last_checkpoint(run)}")
            raise


def _train_worker(run: Run, objects: RunObjects, steps: int, process_group: ProcessGroup) -> Generator[Progress, None, None]:
    """What every process but the first does."""
    with stop_on_signal() as stop_request, process_group.propagate_errors():
        context = RunContext(run, objects, NullRecorder(), process_group)
        yield from _train_with_rollback(context, load_checkpoint(context), steps, stop_request)
        process_group.broadcast(None)


def _train_with_rollback(context: RunContext, state: RunState, steps: int, stop_request: StopRequest) -> Generator[Progress, None, None]:
    """The walk to the end, with one rollback where that is allowed."""
    while True:
        try:
            yield from _train_steps(context, state, steps, stop_request)
            return
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise RunFailed(f"out of memory at step {state.step}; optimise fewer or smaller items") from error
        except (FloatingPointError, RunFailed) as error:
            if context.objects.config.on_failure != "rollback" or state.attempt > 0:
                raise RunFailed(f"{error} [{_advice(context.run)}]") from error
            context.recorder.log(f"rolling back once: {error}")
            rollback(context, state)


def _train_steps(context: RunContext, state: RunState, steps: int, stop_request: StopRequest) -> Generator[Progress, None, None]:
    run, objects, recorder, process_group = context.run, context.objects, context.recorder, context.process_group
    config, painter = objects.config, objects.preview_painter()
    seed = config.seed if state.attempt == 0 else _seed_of_attempt(config.seed, state.attempt)
    saved_at, cost, began = time.perf_counter(), 0.0, time.perf_counter() - state.seconds
    walk = distill(
        objects.generator,
        objects.prior,
        objects.method,
        objects.optimizer,
        steps=steps,
        start=min(state.step, steps),
        batch=objects.batch,
        conditions=objects.conditions,
        codec=objects.codec,
        regularizers=objects.regularizers,
        rng=Streams(seed),
        state=state.method_state,
        distributed=process_group.distributed,
    )
    before = state.calls - objects.counting.calls if process_group.is_main_process else -objects.counting.calls
    _set_learning_rate(objects, state, steps)
    if process_group.is_main_process and objects.is_3d and state.step == 0 and config.previews:
        recorder.save_preview(0, painter.draw(objects.render_preview()))
    for step in walk:
        state.seconds = time.perf_counter() - began
        due = process_group.is_main_process and _checkpoint_due(config, step.index + 1, time.perf_counter() - saved_at, cost)
        stop_requested, due, calls = process_group.all_reduce((bool(stop_request.signal), due, before + objects.counting.calls))
        state.calls = round(calls)
        recorder.log_step(step, objects, state.seconds, state.calls)
        if recorder.preview_due(step.index, steps):
            if not objects.is_3d:
                recorder.save_preview(step.index, painter.draw(objects.to_pixels(step.image)))
            elif step.index:  # the move was made
                recorder.save_preview(step.index + 1, painter.draw(objects.render_preview()))
        if objects.pixels and config.guard.active:
            state.guard_state = state.guard_state.update(step.image, config.guard, step.index, steps)
        state.step, state.method_state = step.index + 1, step.state
        _set_learning_rate(objects, state, steps)
        asked = stop_requested and (stop_request.signal or "another process")  # one that comes from here on counts after the next step
        if asked or state.step == steps or (due and not state.guard_state.streak):  # never keep what looks wrong
            began_saving = time.perf_counter()
            save_checkpoint(context, state)
            saved_at = time.perf_counter()
            cost = saved_at - began_saving
        if asked and state.step < steps:
            raise RunInterrupted(f"{asked} after step {state.step} of {steps}; go on with: modeseek resume {run.path}")
        yield Progress("optimising", state.step, steps, _progress_note(step))
    if process_group.is_main_process:
        recorder.save_preview(state.step, painter.draw(objects.render_preview()))


def _set_learning_rate(objects: RunObjects, state: RunState, steps: int) -> None:
    """The rate of the step that comes next; half of it after a rollback."""
    rate = objects.config.optimizer.rate(min(1.0, state.step / max(1, steps - 1))) / 2**state.attempt
    for group in objects.optimizer.param_groups:
        group["lr"] = rate


def _checkpoint_due(config: Config, done: int, seconds: float, cost: float) -> bool:
    """Whether a checkpoint is due after so many steps, so many seconds after the last one, which took `cost`."""
    if config.saving.steps is not None:
        return done % config.saving.steps == 0
    return seconds >= max(config.saving.seconds, _CHECKPOINT_THRIFT * cost)


def _write_outcome(context: RunContext, state: RunState, outcome: Any, reason: str) -> None:
    from modeseek.reports.run_page import write_run_page  # not needed until now, and not light

    context.recorder.log(f"{outcome} at step {state.step}" + (f": {reason}" if reason else ""))
    context.recorder.sync()
    replace(state.status(context), state=outcome, reason=reason).write(context.run.path)
    write_run_page(context.run)


def _seed_of_attempt(seed: int, attempt: int) -> int:
    digest = hashlib.blake2b(repr((seed, "attempt", attempt)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def _progress_note(step: Step) -> str:
    logs = step.direction.logs
    if "relative_shift" in logs:
        return f"shift {logs['relative_shift'].mean().item():.2e}, h {logs['bandwidth'].mean().item():.3g}"
    return f"|g| {step.direction.grad.flatten(1).norm(dim=1).mean().item():.3g}"


def _last_checkpoint(run: Run) -> str:
    kept = list_checkpoints(run.path / "checkpoints")
    return f"kept up to step {int(kept[-1].name.removeprefix('step-'))}" if kept else "no checkpoint was due yet"


def _advice(run: Run) -> str:
    return f"{_last_checkpoint(run)}; --on-failure rollback goes back once by itself"
