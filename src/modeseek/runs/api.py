"""Python API of runs: create, train and resume. The commands `run` and `resume` call these functions."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Literal

from modeseek.config.config import Config, check_config
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.paths import missing_paths
from modeseek.io.progress import Progress
from modeseek.methods.base import block_size
from modeseek.rundir.environment import describe_device, package_versions
from modeseek.rundir.prior_identity import changed_prior
from modeseek.rundir.run_dir import Run
from modeseek.runs.build import RunObjects, build
from modeseek.runs.process_group import ProcessGroup
from modeseek.runs.train import train


def run(config: Config, out: str | os.PathLike[str] | None = None) -> Run:
    """Trains a configuration to its last step and returns the run.

    Args:
        config: prior, method, generator, optimizer and number of steps.
        out: run folder to create; by default `runs/<method>-<name>-<UTC>-<id>`. Nothing is overwritten.

    Raises:
        ValueError: parts of the configuration do not fit together.
        OSError: a file cannot be read, or the folder cannot be created.
        modeseek.runs.interrupts.RunInterrupted: a stop was requested, or the disk is full; resumable.
        modeseek.runs.interrupts.RunFailed: a direction is not finite, or a rendering collapsed.
    """
    check_config(config)
    created, objects = create_run(config, ["modeseek.run"], out)
    for _ in train(created, objects, config.steps):
        pass
    return created


def resume(run: Run | str | os.PathLike[str], steps: int | None = None) -> Run:
    """Resumes a run from its newest intact checkpoint; on the CPU bit-equal to an uninterrupted run.

    Args:
        run: the run, its folder or its name in `runs/`.
        steps: new total number of steps; None keeps it. Schedules continue at `progress = index / (steps - 1)`.

    Raises:
        ValueError: errors of `run`; the prior has changed; an earlier version of modeseek made the run.
        OSError: a file cannot be read or written.
        modeseek.runs.interrupts.RunInterrupted: a stop was requested, or the disk is full; resumable.
        modeseek.runs.interrupts.RunFailed: a direction is not finite, or a rendering collapsed.
    """
    loaded = run if isinstance(run, Run) else Run.load(run)
    for _ in iter_resume(loaded, steps):
        pass
    return loaded


def create_run(
    config: Config,
    command: Sequence[str],
    out: str | os.PathLike[str] | None = None,
    loaded: LoadedPrior | None = None,
) -> tuple[Run, RunObjects]:
    """Builds the objects of a run, then creates its folder; an invalid configuration leaves no folder.

    With several processes rank 0 creates the folder once all have built their objects. A prior that is loaded already
    is used as it is.
    """
    group = ProcessGroup.current()
    objects = build(config, loaded)
    block = block_size(objects.method, objects.conditions)
    if block is not None and objects.batch % block:
        raise ValueError(
            f"{config.method_name} needs a multiple of {block} items per step, got {objects.batch}; try --cameras "
            f"{block} with modeseek shape, or --copies {block} with modeseek image"
        )
    group.distributed.shard(objects.batch, block)  # raises before any write
    group.gather(None)
    if not group.is_main_process:
        return Run(group.broadcast(None)), objects
    run = Run.create_for(objects.config, objects.loaded, command, out)
    group.broadcast(run.path)
    return run, objects


def iter_resume(
    run: Run,
    steps: int | None = None,
    on_failure: Literal["stop", "rollback"] | None = None,
    device: str | None = None,
) -> Generator[Progress, None, None]:
    """Generator form of `resume` that yields progress; a finished run yields nothing.

    Args:
        run: run to resume.
        steps: new total number of steps; None keeps it.
        on_failure: new reaction to a failure: stop, or roll back once; None keeps it.
        device: new device; None keeps it.

    Raises:
        ValueError: same conditions as `resume`.
        modeseek.runs.interrupts.RunInterrupted: same conditions as `resume`.
        modeseek.runs.interrupts.RunFailed: same conditions as `resume`.
    """
    status, config = run.status, run.config
    total = (status.steps or config.steps) if steps is None else steps
    if status.state == "finished" and total == status.step:
        # a run that was killed between its last two writes has no report
        if ProcessGroup.current().is_main_process and not (run.path / "report.html").exists():
            from modeseek.reports.run_page import write_run_page

            write_run_page(run)
        return
    if total < max(1, status.checkpoint or 0):
        raise ValueError(f"{run.path.name} is already at step {status.checkpoint}, got --steps {total}; pass more")
    if on_failure is not None:
        config = replace(config, on_failure=on_failure)
    if device is not None:
        config = replace(config, device=device)
    _check_paths(run, config)
    objects = build(config)
    environment = run.environment
    change = changed_prior(environment.get("prior", {}), objects.loaded.record(config.prior.title))
    if change is not None:
        raise ValueError(
            f"the prior {config.prior.title} has changed since {run.path.name} began ({change}); restore the old prior "
            "or start a new run"
        )
    yield from train(run, objects, total, _environment_changes(environment, objects.config))


def _check_paths(run: Run, config: Config) -> None:
    """Raises ValueError, naming the setting, if a file or folder of the run is nowhere."""
    for key, path in missing_paths(config.to_dict()):
        begun = "" if os.path.isabs(path) else f", neither in {run.path} nor in {os.getcwd()}"
        raise ValueError(
            f"{key} of {run.path.name} must lead to a file or folder, got {path}, which is gone{begun}; put it back, "
            f"or correct {run.path / 'config.yaml'}"
        )


def _environment_changes(environment: dict[str, object], config: Config) -> list[str]:
    """Log lines on changed versions and thread counts, which may change the last bits of the result."""
    changes = []
    old_versions, versions = environment.get("versions"), package_versions()
    for name in ("python", "torch", "numpy", "modeseek"):
        old = old_versions.get(name) if isinstance(old_versions, dict) else None
        if old != versions.get(name):
            changes.append(f"{name} was {old} and is {versions.get(name)}: the last bits may differ")
    old_device, device = environment.get("device"), describe_device(config.device)
    if not isinstance(old_device, dict):
        return changes
    for name, verbs in (("device", ("was", "is")), ("threads", ("were", "are"))):
        old, new = old_device.get(name), device.get(name)
        if None not in (old, new) and old != new:
            changes.append(f"{name} {verbs[0]} {old} and {verbs[1]} {new}: the last bits may differ")
    return changes
