"""Start of a run from the terminal, with its progress bar and final summary."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from modeseek.config.config import Config
from modeseek.config.guidance import default_guidance
from modeseek.device import device_title
from modeseek.io.progress import Progress
from modeseek.io.progress_bars import run_with_progress
from modeseek.rundir.run_dir import Run
from modeseek.runs.api import create_run
from modeseek.runs.process_group import ProcessGroup
from modeseek.runs.train import train


def start_run(
    config: Config, argv: Sequence[str], out: Path | None, *, dry_run: bool, preset: str | None = None
) -> Run | None:
    """Trains a configuration in a new run folder and returns the run; a dry run prints it and returns None.

    Args:
        config: configuration of the run.
        argv: command line as typed.
        out: run folder to create; None makes one in `runs/`.
        dry_run: whether to print the configuration only.
        preset: name of the preset whose settings it has; None for none.
    """
    if dry_run:
        print(config.to_yaml(), end="")
        return None
    run, objects = create_run(config, argv, out)
    if out is not None and run.path != out:
        print(f"{out} exists and is kept; this run is in {run.path.name}.")
    for line in describe_start(objects.config, preset):
        print(line)
    follow_run(run, train(run, objects, config.steps))
    return run


def describe_start(config: Config, preset: str | None = None) -> Iterator[str]:
    """Yields the lines at the start of a run: prior, device, method and guidance, and where its scale comes from."""
    yield f"Prior: {config.prior.title}, on {device_title(config.device)}"
    of_preset = f" of preset {preset}" if preset else ""
    yield f"Method: {config.method_name}{of_preset}, {config.steps} steps, seed {config.seed}"
    if not config.prompts:
        return
    default = default_guidance(config.method_name, config.prior)
    reason = f" ({default.reason}; --scale changes it)" if config.guidance == default.scale else ""
    yield f"Guidance: {config.guidance:g}{reason}"


def follow_run(run: Run, job: Generator[Progress, None, None]) -> None:
    """Runs a job with a progress bar, then prints its steps, prior calls, time and the path of the report."""
    print(f"Run: {run.path}")
    run_with_progress(job)
    if not ProcessGroup.current().is_main_process:
        return
    status, metrics = run.status, run.metrics
    parts = [f"{status.step} steps", f"{status.calls} prior calls", f"{status.seconds:.1f} s"]
    if metrics and isinstance(metrics[-1].get("relative_shift"), float):
        parts.append(f"relative shift {metrics[-1]['relative_shift']:.2e}")
    print(", ".join(parts))
    print(f"Report: {run.path / 'report.html'}")
