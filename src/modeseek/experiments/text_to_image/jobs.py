"""One job of the experiment: a batch of pictures by one player, finished_job when it is done, gone on with when it is not."""

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
    """What a finished job left.

    Attributes:
        batch: of which pictures.
        images: PNG files, one an item.
        calls: prior calls of all items together.
        seconds: of all items together.
        relative_shift: mean of the last step, where the method tells it.
    """

    batch: ImageBatch
    images: tuple[Path, ...]
    calls: int
    seconds: float
    relative_shift: float | None = None


@dataclass(frozen=True)
class TextToImageJobContext:
    """Where jobs work, and with what.

    Attributes:
        folder: that their folders lie in.
        loaded: the pipeline, loaded once.
        command: as typed.
    """

    folder: Path
    loaded: LoadedPrior
    command: Sequence[str]


def finished_job(folder: Path, batch: ImageBatch) -> JobResult | None:
    """What the job left, if it is finished and whole."""
    path = folder / batch.name
    if not (path / "status.json").is_file():
        return None
    run = Run(path)
    status = run.status
    pictures = tuple(path / "exports" / f"image-{index:03d}.png" for index in range(len(batch.items)))
    if status.state != "finished" or status.calls == 0 or not all(picture.is_file() for picture in pictures):
        return None
    rows = run.metrics
    shift = rows[-1].get("relative_shift") if rows else None
    return JobResult(batch, pictures, status.calls, status.seconds, shift if isinstance(shift, float) else None)


def run_job(
    plan: TextToImage, batch: ImageBatch, context: TextToImageJobContext
) -> Generator[Progress, None, JobResult]:
    """Does the job unless it is done already; an unfinished one goes on from its checkpoint, samples start over.

    Raises:
        ValueError: the folder holds a job of other settings, or another process works on it.
        modeseek.runs.interrupts.RunInterrupted: asked to stop; resumable.
        modeseek.runs.interrupts.RunFailed: a direction that is not finite, or out of memory.
    """
    done = finished_job(context.folder, batch)
    if done is None:
        yield from _sample(plan, batch, context) if batch.entry.method is None else _optimise(plan, batch, context)
        done = finished_job(context.folder, batch)
    if done is None:
        raise ValueError(
            f"{context.folder / batch.name} lost pictures while it worked; remove that folder and call again"
        )
    return done


def _optimise(plan: TextToImage, batch: ImageBatch, context: TextToImageJobContext) -> Generator[Progress, None, None]:
    path, config = context.folder / batch.name, plan.config(batch)
    if (path / "status.json").is_file():
        run = Run(path)
        if run.config != config:
            raise ValueError(f"{path} holds a run of other settings; remove it, or choose another --out")
    else:
        run = Run.create(
            {"verb": "run", **config.to_dict()},
            name_parts=[batch.name],
            command=context.command,
            environment=collect_environment(plan.device, {"title": plan.prior_config.title, "sha256": context.loaded.sha256}),
            status=Status("created", steps=config.steps),
            out=path,
        )
    yield from train(run, build(config, context.loaded), config.steps)


def _sample(plan: TextToImage, batch: ImageBatch, context: TextToImageJobContext) -> Generator[Progress, None, None]:
    path, prior = context.folder / batch.name, context.loaded.prior
    if not isinstance(prior, Pipeline):
        raise TypeError(f"words need a pipeline: got a {type(prior).__name__} prior; give --prior a pipeline's folder")
    if path.exists():
        remove_folder(path)
    scale, steps = plan.scales[batch.entry.name], plan.steps_of(batch.entry)
    texts = [plan.prompts[prompt] for prompt, _ in batch.items]
    drawing = SamplingConfig(
        prior, prior.conditions(texts, None), len(texts), scale, steps, ddim, batch.seed, f"DDIM: {batch.name}"
    )
    told = {"verb": "sample", "prompts": texts, "sampler": "ddim", "steps": steps, "scale": scale, "seed": batch.seed}
    run = Run.create(
        told,
        name_parts=[batch.name],
        command=context.command,
        environment=collect_environment(plan.device, {"title": plan.prior_config.title, "sha256": context.loaded.sha256}),
        status=Status("created"),
        out=path,
    )
    calls = yield from sample_to_run(run, drawing)
    replace(run.status, calls=calls, step=steps, steps=steps).write(run.path)
