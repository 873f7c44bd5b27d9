"""Runs from Python: begin one, go on with one. The commands `run` and `resume` are these functions."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Literal

from modeseek.config.config import Config
from modeseek.distill import block_size
from modeseek.io.progress import Progress
from modeseek.rundir.environment import describe_device, collect_environment, package_versions
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status
from modeseek.runs.build import RunObjects, build
from modeseek.runs.process_group import ProcessGroup
from modeseek.runs.train import train


def run(config: Config, out: str | os.PathLike[str] | None = None) -> Run:
    """Runs a configuration to its end and returns its folder.

    Args:
        config: prior, method, generator, optimizer and how long.
        out: folder to make; by default `runs/<method>-<name>-<UTC>-<id>`. Never overwrites.

    Raises:
        ValueError: something in the configuration does not fit.
        OSError: a file that cannot be read, or a folder that cannot be made.
        modeseek.runs.interrupts.RunInterrupted: asked to stop, or the disk is full; resumable.
        modeseek.runs.interrupts.RunFailed: a direction that is not finite, or a render that went wrong.
    """
    begun, job = create_run(config, ["modeseek.run"], out)
    for _ in train(begun, job, config.steps):
        pass
    return begun


def resume(run: Run | str | os.PathLike[str], steps: int | None = None) -> Run:
    """Goes on with a run from its newest whole checkpoint; on the CPU bit-equal to never having stopped.

    Args:
        run: the run, its folder or its name in `runs/`.
        steps: in all, where that shall change; schedules then run on at `progress = index / (steps - 1)`.

    Raises:
        ValueError: as `run`, and where the prior is no longer the same.
        OSError: a file that cannot be read or written.
        modeseek.runs.interrupts.RunInterrupted: asked to stop, or the disk is full; resumable.
        modeseek.runs.interrupts.RunFailed: a direction that is not finite, or a render that went wrong.
    """
    found = run if isinstance(run, Run) else Run.load(run)
    for _ in iter_resume(found, steps):
        pass
    return found


def create_run(config: Config, command: Sequence[str], out: str | os.PathLike[str] | None = None) -> tuple[Run, RunObjects]:
    """Builds everything, then makes the folder: a configuration that cannot work leaves none.

    Of several processes the first one makes it, once all have built.
    """
    crew = ProcessGroup.current()
    job = build(config)
    crew.distributed.shard(job.batch, block_size(job.method, job.conditions))  # or an error, before anything is written
    crew.gather(None)
    if not crew.is_main_process:
        return Run(crew.broadcast(None)), job
    prior = {"title": config.prior.title, "sha256": job.loaded.sha256}
    begun = Run.create(
        {"verb": "run", **config.to_dict()},
        name_parts=[config.method_name, config.name or config.prior.title],
        command=command,
        environment=collect_environment(config.device, prior),
        status=Status("created", steps=config.steps),
        out=out,
    )
    crew.broadcast(begun.path)
    return begun, job


def iter_resume(
    run: Run, steps: int | None = None, on_failure: Literal["stop", "rollback"] | None = None
) -> Generator[Progress, None, None]:
    """`resume` as a generator of progress; nothing happens where the run is finished.

    Raises:
        ValueError: as `resume`.
        modeseek.runs.interrupts.RunInterrupted: as `resume`.
        modeseek.runs.interrupts.RunFailed: as `resume`.
    """
    status, config = run.status, run.config
    total = (status.steps or config.steps) if steps is None else steps
    if status.state == "finished" and total == status.step:
        if (
            ProcessGroup.current().is_main_process and not (run.path / "report.html").exists()
        ):  # killed between its last two writes
            from modeseek.reports.run_page import write_run_page

            write_run_page(run)
        return
    if total < max(1, status.checkpoint or 0):
        raise ValueError(f"{run.path.name} is at step {status.checkpoint} already: got --steps {total}; pass more")
    if on_failure is not None:
        config = replace(config, on_failure=on_failure)
    job = build(config)
    made_with = run.environment
    told = made_with.get("prior", {}).get("sha256")
    if told != job.loaded.sha256:
        raise ValueError(
            f"the prior {config.prior.title} is no longer the one that {run.path.name} began with (its SHA-256 "
            "differs); put the old one back or start a new run"
        )
    yield from train(run, job, total, _changes(made_with, config))


def _changes(made_with: dict[str, object], config: Config) -> list[str]:
    """What differs from when the run began and may change its last bits."""
    changes = []
    before, here = made_with.get("versions"), package_versions()
    for name in ("python", "torch", "numpy", "modeseek"):
        old = before.get(name) if isinstance(before, dict) else None
        if old != here.get(name):
            changes.append(f"{name} was {old} and is {here.get(name)}: the last bits may differ")
    device, now = made_with.get("device"), describe_device(config.device)
    if isinstance(device, dict) and device.get("threads") != now.get("threads"):
        changes.append(f"threads were {device.get('threads')} and are {now.get('threads')}: the last bits may differ")
    return changes
