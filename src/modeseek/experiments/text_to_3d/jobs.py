"""Job of the text-to-3D experiment: a run folder, skipped when finished and resumed when not."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors.torch
from torch import nn

from modeseek.config.priors import LoadedPrior, PriorConfig
from modeseek.experiments.text_to_3d.plan import TextTo3D, TextTo3DJob
from modeseek.generators.nerf import NeRF
from modeseek.io.atomic import remove_folder, write_atomic
from modeseek.io.progress import Progress
from modeseek.reports.run_page import write_run_page
from modeseek.rundir.environment import collect_environment
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status
from modeseek.runs.build import RunObjects, build
from modeseek.runs.train import train

WEIGHTS = Path("exports") / "generator.safetensors"


class PriorCache:
    """Loader of priors that caches the last one."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._cached: tuple[PriorConfig, LoadedPrior] | None = None

    def load(self, config: PriorConfig) -> LoadedPrior:
        """Loads the prior of a configuration.

        Raises:
            ValueError: there is no such prior.
        """
        if self._cached is None or self._cached[0] != config:
            self._cached = (config, config.load(self._device))
        return self._cached[1]


@dataclass(frozen=True)
class TextTo3DJobContext:
    """Context shared by all jobs of an experiment.

    Attributes:
        folder: parent of the jobs' run folders.
        priors: cache of loaded priors.
        command: command line as typed.
    """

    folder: Path
    priors: PriorCache
    command: Sequence[str]


def finished_run(folder: Path, job: TextTo3DJob) -> Run | None:
    """The job's run, or None unless it is finished and its weights exist."""
    path = folder / job.name
    if not (path / "status.json").is_file() or not (path / WEIGHTS).is_file():
        return None
    run = Run(path)
    return run if run.status.state == "finished" else None


def run_job(plan: TextTo3D, job: TextTo3DJob, context: TextTo3DJobContext) -> Generator[Progress, None, Run]:
    """Runs the job unless it is finished; an unfinished one resumes from its newest checkpoint.

    The exports of `modeseek shape` (turntable, strips, mesh) are skipped: they take longer than a short run, and
    `measure` renders what it needs.

    Raises:
        ValueError: the folder holds a run of other settings or of another prior, or another process holds it.
        modeseek.runs.interrupts.RunInterrupted: stopped on request; resumable.
        modeseek.runs.interrupts.RunFailed: a direction is not finite, or memory ran out.
    """
    finished, config = finished_run(context.folder, job), plan.config(job)
    path = context.folder / job.name
    if (path / "status.json").is_file() and Run(path).config != config:
        raise ValueError(f"{path} holds a run of other settings; remove it or choose another --out")
    if finished is not None:
        return finished
    loaded = context.priors.load(config.prior)
    if not (path / "status.json").is_file():
        Run.create(
            {"verb": "run", **config.to_dict()},
            name_parts=[job.name],
            command=context.command,
            environment=collect_environment(plan.device, {"title": config.prior.title, "sha256": loaded.sha256}),
            status=Status("created", steps=config.steps),
            out=path,
        )
    run = Run(path)
    if run.environment.get("prior", {}).get("sha256") != loaded.sha256:
        raise ValueError(f"{path} was begun with another {config.prior.title}; restore that one or remove the run")
    objects = build(config, loaded)
    with closing(train(run, objects, config.steps)) as walk:
        for progress in walk:
            yield progress
            if progress.done == progress.total:
                break  # the last checkpoint is written; the rest would be exports
    _save_weights(run, objects)
    return run


def _save_weights(run: Run, objects: RunObjects) -> None:
    """Writes the weights and removes the checkpoints, which take six times the space."""
    if not isinstance(objects.generator, nn.Module):
        raise TypeError(f"the generator must be a module, got {type(objects.generator).__name__}")
    weights = {name: tensor.contiguous() for name, tensor in objects.generator.state_dict().items()}
    write_atomic(run.path / WEIGHTS, safetensors.torch.save(weights))
    replace(run.status, state="finished", reason="", checkpoint=None).write(run.path)
    write_run_page(run)
    for path in run.checkpoints:
        remove_folder(path)


def load_nerf(run: Run, priors: PriorCache) -> NeRF:
    """The optimised NeRF of a finished run.

    Raises:
        ValueError: the weights are damaged, or the generator is no NeRF.
        OSError: the weights cannot be read.
    """
    config = run.config
    nerf = config.generator.make(priors.load(config.prior), config.seed).module
    if not isinstance(nerf, NeRF):
        raise ValueError(f"{run.path} holds no NeRF; remove it and run the command again")
    try:
        nerf.load_state_dict(safetensors.torch.load_file(run.path / WEIGHTS, device=config.device))
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise ValueError(f"{run.path / WEIGHTS} is damaged; remove {run.path} and run the command again") from error
    return nerf.requires_grad_(False)
