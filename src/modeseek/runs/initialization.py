"""Initial parameters of a run that depend on its prior, such as those of drawings that start from a sample."""

from __future__ import annotations

import time
from collections.abc import Iterator

from modeseek.io.progress import Progress
from modeseek.runs.interrupts import RunInterrupted, StopRequest
from modeseek.runs.run_state import RunContext


def initialize(context: RunContext, stop_request: StopRequest) -> Iterator[Progress]:
    """Sets the initial parameters that depend on the prior, where no step was made yet; later ones are in checkpoints.

    Rank 0 computes them, and the other processes take them over. Its prior calls and its time count as the run's. The
    random draws are those of the seed of the run, also after a rollback to the start.

    Args:
        context: run in progress, with its state.
        stop_request: request to stop, looked at after each unit of progress.

    Yields:
        Progress of rank 0.

    Raises:
        RunInterrupted: a stop was requested; resumable from the start.
    """
    objects, group, state = context.objects, context.process_group, context.state
    if objects.initialize is None or state.step:
        return
    began, calls = time.perf_counter(), objects.counting.calls
    if group.is_main_process:
        for progress in objects.initialize(objects.start_context):
            yield progress
            if stop_request.signal:
                raise RunInterrupted(
                    f"{stop_request.signal} before the first step; to start again: modeseek resume {context.run.path}"
                )
    values = {name: value.cpu() for name, value in objects.generator.state_dict().items()}
    objects.generator.load_state_dict(group.broadcast(values))
    if group.is_main_process:
        state.calls += objects.counting.calls - calls
        state.seconds += time.perf_counter() - began
        context.recorder.log(f"initial parameters after {state.calls:,} prior calls and {state.seconds:.1f} s")
