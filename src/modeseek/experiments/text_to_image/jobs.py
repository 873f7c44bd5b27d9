"""Job of the text-to-image experiment: a batch of images, skipped when finished and resumed when not."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modeseek.config.priors import LoadedPrior
from modeseek.experiments.text_to_image.plan import ImageBatch, TextToImage
from modeseek.io.atomic import remove_folder
from modeseek.io.progress import Progress
from modeseek.priors.pipeline import Pipeline
from modeseek.rundir.environment import collect_environment
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status
from modeseek.runs.build import build
from modeseek.runs.sampling import SamplingConfig, sample_to_run
from modeseek.runs.train import train
from modeseek.sampling.samplers import ddim


@dataclass(frozen=True)
class JobResult:
    """Result of a finished job.

    Attributes:
        batch: prompts and seeds of the images.
        images: PNG files, one per item.
        calls: prior calls, sum over the items.
        seconds: run time of the job.
        relative_shift: relative shift in the last step, mean over items; None where the method has none.
    """

    batch: ImageBatch
    images: tuple[Path, ...]
    calls: int
    seconds: float
    relative_shift: float | None = None


@dataclass(frozen=True)
class TextToImageJobContext:
    """Context shared by all jobs of an experiment.

    Attributes:
        folder: parent of the jobs' run folders.
        loaded: the loaded pipeline.
        command: command line as typed.
    """

    folder: Path
    loaded: LoadedPrior
    command: Sequence[str]


def finished_job(folder: Path, batch: ImageBatch) -> JobResult | None:
    """Result of the job, or None unless it is finished and all its images exist."""
    path = folder / batch.name
    if not (path / "status.json").is_file():
        return None
    run = Run(path)
    status = run.status
    images = tuple(path / "exports" / f"image-{index:03d}.png" for index in range(len(batch.items)))
    if status.state != "finished" or status.calls == 0 or not all(image.is_file() for image in images):
        return None
    rows = run.metrics
    shift = rows[-1].get("relative_shift") if rows else None
    return JobResult(batch, images, status.calls, status.seconds, shift if isinstance(shift, float) else None)


def run_job(
    plan: TextToImage, batch: ImageBatch, context: TextToImageJobContext
) -> Generator[Progress, None, JobResult]:
    """Runs the job unless it is finished; an optimisation resumes from its checkpoint, sampling starts over.

    Raises:
        ValueError: the folder holds a job of other settings, or another process holds it.
        modeseek.runs.interrupts.RunInterrupted: stopped on request; resumable.
        modeseek.runs.interrupts.RunFailed: a direction is not finite, or memory ran out.
    """
    result = finished_job(context.folder, batch)
    if result is None:
        yield from _sample(plan, batch, context) if batch.entry.method is None else _optimise(plan, batch, context)
        result = finished_job(context.folder, batch)
    if result is None:
        path = context.folder / batch.name
        raise ValueError(f"images of {path} were removed while it ran; remove that folder and run the command again")
    return result


def _optimise(plan: TextToImage, batch: ImageBatch, context: TextToImageJobContext) -> Generator[Progress, None, None]:
    path, config = context.folder / batch.name, plan.config(batch)
    if (path / "status.json").is_file():
        run = Run(path)
        if run.config != config:
            raise ValueError(f"{path} holds a run of other settings; remove it or choose another --out")
    else:
        run = Run.create(
            {"verb": "run", **config.to_dict()},
            name_parts=[batch.name],
            command=context.command,
            environment=collect_environment(
                plan.device, {"title": plan.prior_config.title, "sha256": context.loaded.sha256}
            ),
            status=Status("created", steps=config.steps),
            out=path,
        )
    yield from train(run, build(config, context.loaded), config.steps)


def _sample(plan: TextToImage, batch: ImageBatch, context: TextToImageJobContext) -> Generator[Progress, None, None]:
    path, prior = context.folder / batch.name, context.loaded.prior
    if not isinstance(prior, Pipeline):
        raise TypeError(f"text needs a pipeline: got a {type(prior).__name__} prior; give --prior a pipeline's folder")
    if path.exists():
        remove_folder(path)
    scale, steps = plan.scales[batch.entry.name], plan.steps_of(batch.entry)
    texts = [plan.prompts[prompt] for prompt, _ in batch.items]
    config = SamplingConfig(
        prior, prior.conditions(texts, None), len(texts), scale, steps, ddim, batch.seed, f"DDIM: {batch.name}"
    )
    settings = {
        "verb": "sample",
        "prompts": texts,
        "sampler": "ddim",
        "steps": steps,
        "scale": scale,
        "seed": batch.seed,
    }
    run = Run.create(
        settings,
        name_parts=[batch.name],
        command=context.command,
        environment=collect_environment(
            plan.device, {"title": plan.prior_config.title, "sha256": context.loaded.sha256}
        ),
        status=Status("created"),
        out=path,
    )
    calls = yield from sample_to_run(run, config)
    replace(run.status, calls=calls, step=steps, steps=steps).write(run.path)
