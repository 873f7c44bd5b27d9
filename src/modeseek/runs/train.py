"""Training loop of a run: steps, metrics, guard, checkpoints, previews, exports and the report."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from modeseek.config.config import Config
from modeseek.config.optimizers import set_rate
from modeseek.distill import Step, distill
from modeseek.io.errors import is_out_of_memory
from modeseek.io.progress import Progress
from modeseek.io.remarks import LOGGED
from modeseek.rng import Streams
from modeseek.rundir.checkpoint import check_formats, list_checkpoints
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import utc_now
from modeseek.runs.build import RunObjects
from modeseek.runs.divergence import check_step
from modeseek.runs.exports import export_run
from modeseek.runs.initialization import initialize
from modeseek.runs.interrupts import RunFailed, RunInterrupted, StopRequest, stop_on_signal
from modeseek.runs.process_group import ProcessGroup
from modeseek.runs.recorder import NullRecorder, open_recorder
from modeseek.runs.run_state import RunContext, RunState, load_checkpoint, rollback, save_checkpoint

_CHECKPOINT_SPACING = 50  # least time between checkpoints, in multiples of the time that writing one takes


def train(
    run: Run,
    objects: RunObjects,
    steps: int,
    remarks: Sequence[str] = (),
    process_group: ProcessGroup | None = None,
    stop_request: StopRequest | None = None,
) -> Generator[Progress, None, None]:
    """Optimises the generator of a run up to `steps` steps, from its newest intact checkpoint if it has one.

    On the CPU an interrupted and resumed run gives the same result as an uninterrupted one, bit for bit. Ctrl-C and
    SIGTERM stop it after the current step. Checkpoints and previews cost no prior calls. The report is written whether
    the run finishes, stops or fails.

    With several processes rank 0 writes all files; each process renders its shard of the items and evaluates the prior
    on it.

    Args:
        run: run folder; only rank 0 reads or writes it.
        objects: prior, method, generator and optimizer of the run.
        steps: number of steps of the whole run, >= 1.
        remarks: lines to add to the log.
        process_group: processes of the run; by default those that were launched together.
        stop_request: request that the caller may set between steps, to stop after the next one; None for signals only.

    Yields:
        Progress after each step.

    Raises:
        RunInterrupted: a stop was requested, or the disk is full; the message says how to resume.
        RunFailed: a direction is not finite, a rendering collapsed, or memory ran out.
        ValueError: another process works on the run, or its checkpoints do not fit the configuration or this version.
        OSError: the folder cannot be written to.
    """
    process_group = ProcessGroup.current() if process_group is None else process_group
    if not process_group.is_main_process:
        yield from _train_worker(run, objects, steps, process_group)
        return
    with run.locked(), stop_on_signal(stop_request) as stop_request, open_recorder(run, objects.config) as recorder:
        check_formats(run.path / "checkpoints")
        status = run.status
        sessions = status.sessions + 1
        replace(status, state="running", reason="", steps=steps, sessions=sessions, updated=utc_now()).write(run.path)
        for line in (*objects.remarks, *remarks):
            recorder.log(f"{LOGGED}{line}")
        context = RunContext(run, objects, recorder, process_group, RunState.from_status(status))
        try:
            with process_group.propagate_errors():
                context.state = load_checkpoint(context)
                yield from _train_with_rollback(context, steps, stop_request)
                export_run(run, objects, recorder)
                process_group.broadcast(None)  # the other processes wait until the exports are written
            _write_outcome(context, "finished", "")
        except RunInterrupted as error:
            _write_outcome(context, "stopped", str(error))
            raise
        except (RunFailed, ValueError) as error:
            _write_outcome(context, "failed", str(error))
            raise
        except OSError as error:
            reason = f"{error.strerror or error} at step {context.state.step}"
            try:
                _write_outcome(context, "stopped", reason)
            except OSError as second_error:
                error.add_note(f"the status could not be written either: {second_error}")
            raise RunInterrupted(
                f"{reason} ({error.filename or run.path}); {_last_checkpoint(run)}; free some disk space, then: "
                f"modeseek resume {run.path}"
            ) from error
        except (KeyboardInterrupt, GeneratorExit):
            _write_outcome(context, "stopped", f"interrupted at step {context.state.step}; {_last_checkpoint(run)}")
            raise


def _train_worker(
    run: Run, objects: RunObjects, steps: int, process_group: ProcessGroup
) -> Generator[Progress, None, None]:
    """The loop of every process except rank 0: no file is written."""
    with stop_on_signal() as stop_request, process_group.propagate_errors():
        context = RunContext(run, objects, NullRecorder(), process_group)
        context.state = load_checkpoint(context)
        yield from _train_with_rollback(context, steps, stop_request)
        process_group.broadcast(None)


def _train_with_rollback(context: RunContext, steps: int, stop_request: StopRequest) -> Generator[Progress, None, None]:
    """Trains to the last step; after a failure it rolls back once, where the configuration allows it."""
    while True:
        try:
            yield from initialize(context, stop_request)
            yield from _train_steps(context, steps, stop_request)
            return
        except (FloatingPointError, RunFailed) as error:
            if context.objects.config.on_failure != "rollback" or context.state.attempt > 0:
                raise RunFailed(f"{error} [{_advice(context.run)}]") from error
            context.recorder.log(f"rolling back once: {error}")
            rollback(context)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise RunFailed(f"out of memory at step {context.state.step}; optimise fewer or smaller items") from error


def _train_steps(context: RunContext, steps: int, stop_request: StopRequest) -> Generator[Progress, None, None]:
    """Trains from the current state to the last step: metrics, previews, guard and checkpoints at each step."""
    run, objects, recorder, process_group = context.run, context.objects, context.recorder, context.process_group
    state, config, painter = context.state, objects.config, objects.preview_painter()
    seed = config.seed if state.attempt == 0 else _seed_of_attempt(config.seed, state.attempt)
    saved_at, save_seconds, began = time.perf_counter(), 0.0, time.perf_counter() - state.seconds
    distillation = distill(
        objects.generator,
        objects.prior,
        objects.method,
        objects.optimizer,
        steps=steps,
        start=min(state.step, steps),
        batch=objects.batch,
        inner_steps=objects.config.inner_steps,
        accumulate=objects.config.accumulate,
        conditions=objects.conditions,
        codec=objects.codec,
        regularizers=objects.regularizers,
        rng=Streams(seed),
        state=state.method_state,
        distributed=process_group.distributed,
    )
    calls_before = state.calls - objects.counting.calls if process_group.is_main_process else -objects.counting.calls
    _set_learning_rate(objects, state, steps)
    if process_group.is_main_process and objects.draws_previews and state.step == 0 and config.previews:
        recorder.save_preview(0, painter.draw(objects.draw_preview()))
    for step in distillation:
        state.seconds = time.perf_counter() - began
        since_save = time.perf_counter() - saved_at
        due = process_group.is_main_process and _checkpoint_due(config, step.index + 1, since_save, save_seconds)
        stop_requested, due, calls = process_group.all_reduce(
            (bool(stop_request.signal), due, calls_before + objects.counting.calls)
        )
        state.calls = round(calls)
        check_step(step, objects.loaded.extent)
        recorder.log_step(step, objects, state.seconds, state.calls)
        if recorder.preview_due(step.index, steps):
            if not objects.draws_previews:
                first = step.image[: len(step.image) // config.accumulate]  # of each item the first batch
                recorder.save_preview(step.index, painter.draw(objects.to_pixels(first)))
            elif step.index:  # rendered after the update
                recorder.save_preview(step.index + 1, painter.draw(objects.draw_preview()))
        if objects.pixels and config.guard.active:
            state.guard_state = state.guard_state.update(step.image, config.guard, step.index, steps)
        state.step, state.method_state = step.index + 1, step.state
        _set_learning_rate(objects, state, steps)
        stop_cause = stop_requested and (stop_request.signal or "another process")  # later signals: after the next step
        if stop_cause or state.step == steps or (due and not state.guard_state.streak):  # no suspicious state is saved
            save_began = time.perf_counter()
            save_checkpoint(context)
            saved_at = time.perf_counter()
            save_seconds = saved_at - save_began
        if stop_cause and state.step < steps:
            raise RunInterrupted(
                f"{stop_cause} after step {state.step} of {steps}; to continue: modeseek resume {run.path}"
            )
        yield Progress("optimising", state.step, steps, _progress_note(step))
    if process_group.is_main_process:
        recorder.save_preview(state.step, painter.draw(objects.draw_preview()))


def _set_learning_rate(objects: RunObjects, state: RunState, steps: int) -> None:
    """Sets the learning rate of the next step; each rollback halves it."""
    rate = objects.config.optimizer.rate(min(1.0, state.step / max(1, steps - 1))) / 2**state.attempt
    set_rate(objects.optimizer, rate)


def _checkpoint_due(config: Config, step: int, seconds: float, save_seconds: float) -> bool:
    """Whether a checkpoint is due after `step` steps, `seconds` after the last one, which took `save_seconds`."""
    if config.saving.steps is not None:
        return step % config.saving.steps == 0
    return seconds >= max(config.saving.seconds, _CHECKPOINT_SPACING * save_seconds)


def _write_outcome(context: RunContext, outcome: Any, reason: str) -> None:
    """Writes the final status, the log line and the report."""
    from modeseek.reports.run_page import write_run_page  # slow to import

    state = context.state
    context.recorder.log(f"{outcome} at step {state.step}" + (f": {reason}" if reason else ""))
    context.recorder.sync()
    replace(state.status(context), state=outcome, reason=reason).write(context.run.path)
    write_run_page(context.run)


def _seed_of_attempt(seed: int, attempt: int) -> int:
    """Seed of an attempt after a rollback, in [0, 2^63)."""
    digest = hashlib.blake2b(repr((seed, "attempt", attempt)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def _progress_note(step: Step) -> str:
    """Number shown beside the progress bar: relative shift and bandwidth, else the gradient norm."""
    logs = step.direction.logs
    if "relative_shift" in logs:
        return f"shift {logs['relative_shift'].mean().item():.2e}, h {logs['bandwidth'].mean().item():.3g}"
    return f"|g| {step.direction.grad.flatten(1).norm(dim=1).mean().item():.3g}"


def _last_checkpoint(run: Run) -> str:
    """Step of the newest checkpoint, as part of a message."""
    checkpoints = list_checkpoints(run.path / "checkpoints")
    if not checkpoints:
        return "no checkpoint yet"
    return f"last checkpoint at step {int(checkpoints[-1].name.removeprefix('step-'))}"


def _advice(run: Run) -> str:
    return f"{_last_checkpoint(run)}; --on-failure rollback restarts from it once"
