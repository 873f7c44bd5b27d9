"""One play of the experiment: a run folder, kept when it is done, gone on with when it is not."""

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
    """Priors, each loaded when it is first wanted; the last one is kept."""

    def __init__(self, device: str) -> None:
        self._device, self._held = device, None

    _held: tuple[PriorConfig, LoadedPrior] | None

    def load(self, source: PriorConfig) -> LoadedPrior:
        """The prior of that source.

        Raises:
            ValueError: there is no such prior.
        """
        if self._held is None or self._held[0] != source:
            self._held = (source, source.load(self._device))
        return self._held[1]


@dataclass(frozen=True)
class TextTo3DJobContext:
    """Where plays work, and with what.

    Attributes:
        folder: that their folders lie in.
        shelf: of priors.
        command: as typed.
    """

    folder: Path
    priors: PriorCache
    command: Sequence[str]


def finished_run(folder: Path, job: TextTo3DJob) -> Run | None:
    """The play's run, if it is finished and its thing is there."""
    path = folder / job.name
    if not (path / "status.json").is_file() or not (path / WEIGHTS).is_file():
        return None
    run = Run(path)
    return run if run.status.state == "finished" else None


def run_job(plan: TextTo3D, job: TextTo3DJob, context: TextTo3DJobContext) -> Generator[Progress, None, Run]:
    """Does the play unless it is done already; an unfinished one goes on from its newest checkpoint.

    What `modeseek shape` leaves beside the thing (a turntable, strips, a mesh) is left out: it takes longer than a
    short run, and `measure` makes what is needed.

    Raises:
        ValueError: the folder holds a run of other settings or of another prior, or another process works on it.
        modeseek.runs.interrupts.RunInterrupted: asked to stop; resumable.
        modeseek.runs.interrupts.RunFailed: a direction that is not finite, or out of memory.
    """
    finished, config = finished_run(context.folder, job), plan.config(job)
    path = context.folder / job.name
    if (path / "status.json").is_file() and Run(path).config != config:
        raise ValueError(f"{path} holds a run of other settings; remove it, or choose another --out")
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
        raise ValueError(f"{path} was begun with another {config.prior.title}; put the old one back or remove the run")
    objects = build(config, loaded)
    with closing(train(run, objects, config.steps)) as walk:
        for progress in walk:
            yield progress
            if progress.done == progress.total:
                break  # kept as a checkpoint; the rest would be pictures
    _keep(run, objects)
    return run


def _keep(run: Run, objects: RunObjects) -> None:
    """Keeps the thing itself, and no checkpoint of it any more, which takes six times the room."""
    if not isinstance(objects.generator, nn.Module):
        raise TypeError(f"a thing is a module: got {type(objects.generator).__name__}")
    weights = {name: tensor.contiguous() for name, tensor in objects.generator.state_dict().items()}
    write_atomic(run.path / WEIGHTS, safetensors.torch.save(weights))
    replace(run.status, state="finished", reason="", checkpoint=None).write(run.path)
    write_run_page(run)
    for path in run.checkpoints:
        remove_folder(path)


def load_nerf(run: Run, priors: PriorCache) -> NeRF:
    """The thing that a finished play made.

    Raises:
        ValueError: its weights are damaged, or of something else.
        OSError: they cannot be read.
    """
    config = run.config
    nerf = config.generator.make(priors.load(config.prior), config.seed).module
    if not isinstance(nerf, NeRF):
        raise ValueError(f"{run.path} made no volume; remove it and call again")
    try:
        nerf.load_state_dict(safetensors.torch.load_file(run.path / WEIGHTS, device=config.device))
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise ValueError(f"{run.path / WEIGHTS} is damaged; remove {run.path} and call again") from error
    return nerf.requires_grad_(False)
