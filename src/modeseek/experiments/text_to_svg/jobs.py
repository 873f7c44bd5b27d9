"""Jobs of the text-to-SVG experiment: samples with the drawings fitted to and traced from them, and optimisations."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
from jaxtyping import Float
from torch import Tensor

from modeseek.config.built_generator import StartContext
from modeseek.config.vector import MAX_BYTES
from modeseek.config.vector_starts import fit_drawing
from modeseek.experiments.text_to_svg.entries import FIT, TRACED, TRACED_LARGE, DrawingEntry
from modeseek.experiments.text_to_svg.plan import DrawingBatch, TextToSvg
from modeseek.experiments.text_to_svg.tracer import LARGE, trace_to_svg
from modeseek.generators.base import BaseGenerator
from modeseek.io.atomic import remove_folder, write_atomic
from modeseek.io.images import encode_png
from modeseek.io.progress import Progress
from modeseek.metrics.vector import render_error
from modeseek.priors.base import Conditions
from modeseek.rng import Streams
from modeseek.rundir.drawing_records import read_records
from modeseek.rundir.run_dir import Run
from modeseek.runs.build import RunObjects, build
from modeseek.runs.exports import WEIGHTS
from modeseek.runs.jobs import Job, JobContext
from modeseek.runs.train import train
from modeseek.sampling.likeliest import sample_images

_RECORD = "drawings.json"


@dataclass(frozen=True)
class MadeDrawings:
    """Drawings of one entry that a job has made.

    Attributes:
        entry: name of the entry.
        batch: words and seed.
        svgs: SVG of each word.
        errors: mean absolute difference of each, rendered by resvg, to the image it stands for, in [0, 1].
        dropped: number of paths that were dropped since they change no pixel, mean over the drawings.
        calls: prior calls per drawing, those of the sample it starts from included.
        seconds: run time per drawing, that of the sample included.
    """

    entry: str
    batch: DrawingBatch
    svgs: tuple[str, ...]
    errors: tuple[float, ...]
    dropped: float
    calls: float
    seconds: float


@dataclass(frozen=True)
class JobOutput:
    """Result of a finished job.

    Attributes:
        folder: run folder.
        made: drawings by name of the entry.
        calls: prior calls of the job, sum over its drawings.
        seconds: run time of the job.
        images: PNG files of the samples; none of an optimisation.
    """

    folder: Path
    made: Mapping[str, MadeDrawings]
    calls: int
    seconds: float
    images: tuple[Path, ...] = ()


@dataclass(frozen=True)
class SampleJob(Job[JobOutput]):
    """Samples of a batch, traced by vtracer and fitted by paths; starts over when it was interrupted.

    Attributes:
        plan: the plan.
        batch: words and seed.
        context: context of the experiment.
    """

    plan: TextToSvg
    batch: DrawingBatch
    context: JobContext

    @property
    def name(self) -> str:
        return f"sample-{self.batch.name}"

    @property
    def group(self) -> str:
        return "sample"

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.context.folder / self.name

    def load(self) -> JobOutput | None:
        if not (self.path / _RECORD).is_file():
            return None
        plain = json.loads((self.path / _RECORD).read_text(encoding="utf-8"))
        made = {
            name: MadeDrawings(
                batch=self.batch, **(values | {"svgs": tuple(values["svgs"]), "errors": tuple(values["errors"])})
            )
            for name, values in plain["made"].items()
        }
        return JobOutput(self.path, made, plain["calls"], plain["seconds"], self._images())

    def _images(self) -> tuple[Path, ...]:
        return tuple(self.path / "exports" / f"sample-{k:03d}.png" for k in range(len(self.batch.words)))

    def run(self) -> Generator[Progress, None, JobOutput]:
        if self.path.exists():
            remove_folder(self.path)
        config = self.plan.start_config(self.batch)
        run = self.context.open_run(config)
        objects = build(config, self.context.priors.load(config.prior))
        began = time.perf_counter()
        images = yield from self._sample(objects)
        sampled = time.perf_counter()
        yield from fit_drawing(objects.generator, images, self.plan.fit_steps)  # type: ignore[arg-type]
        fitted = time.perf_counter()
        calls, n = objects.counting.calls, len(images)
        svgs, dropped = self._fitted_svgs(objects.generator)
        rendered = objects.render_preview()
        costs = calls / n, (sampled - began) / n, (fitted - sampled) / n
        made = [MadeDrawings(FIT, self.batch, svgs, _errors(svgs, rendered), dropped, costs[0], costs[1] + costs[2])]
        for name, settings in ((TRACED, {}), (TRACED_LARGE, LARGE)):
            before = time.perf_counter()
            svgs = tuple(trace_to_svg(image, **settings) for image in images)
            spent = (time.perf_counter() - before) / n
            made.append(MadeDrawings(name, self.batch, svgs, _errors(svgs, images), 0.0, costs[0], costs[1] + spent))
        for path, image in zip(self._images(), images, strict=True):
            write_atomic(path, encode_png(image))
        write_atomic(run.path / WEIGHTS, safetensors.torch.save(_state(objects.generator)))
        plain = {drawings.entry: _plain(drawings) for drawings in made}
        seconds = time.perf_counter() - began
        write_atomic(run.path / _RECORD, json.dumps({"made": plain, "calls": calls, "seconds": seconds}) + "\n")
        replace(run.status, state="finished", calls=calls, seconds=seconds).write(run.path)
        return JobOutput(run.path, {drawings.entry: drawings for drawings in made}, calls, seconds, self._images())

    def _sample(self, objects: RunObjects) -> Generator[Progress, None, Float[Tensor, "n 3 h w"]]:
        """Samples, as `SampleStart` draws them."""
        context, plan = objects.start_context, self.plan
        conditions = context.conditions if isinstance(context.conditions, Conditions) else None
        rng = Streams(context.seed, use="sample")
        n = len(self.batch.words)
        return (
            yield from sample_images(
                context.prior, context.codec, conditions, n, rng, steps=plan.sample_steps, scale=plan.scale
            )
        )

    def _fitted_svgs(self, generator: BaseGenerator) -> tuple[tuple[str, ...], float]:
        files = list(generator.svgs([word.prompt for word in self.batch.words], MAX_BYTES) or ())
        return tuple(file.text for file in files), sum(file.dropped for file in files) / len(files)


@dataclass(frozen=True)
class DrawingJob(Job[JobOutput]):
    """Run folder of a method on a batch: an optimisation that resumes, from the fitted drawings of the batch.

    Attributes:
        plan: the plan.
        entry: the method, with its learning rate; its name begins that of the folder.
        batch: words and seed.
        context: context of the experiment.
    """

    plan: TextToSvg
    entry: DrawingEntry
    batch: DrawingBatch
    context: JobContext

    @property
    def name(self) -> str:
        return f"{self.entry.name}-{self.batch.name}"

    @property
    def group(self) -> str:
        return self.entry.name

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.context.folder / self.name

    def load(self) -> JobOutput | None:
        if not (self.path / "status.json").is_file():
            return None
        run, start = Run(self.path), self._start()
        status, records = run.status, read_records(run.path)
        if status.state != "finished" or len(records) != len(self.batch.words) or start is None:
            return None
        n = len(records)
        svgs = tuple((run.path / "exports" / record.file).read_text(encoding="utf-8") for record in records)
        first = start.made[FIT] if self.entry.start == "sample" else None
        made = MadeDrawings(
            self.entry.name,
            self.batch,
            svgs,
            tuple(record.error or 0.0 for record in records),
            sum(record.dropped for record in records) / n,
            status.calls / n + (first.calls if first else 0),
            status.seconds / n + (first.seconds if first else 0),
        )
        return JobOutput(self.path, {self.entry.name: made}, status.calls, status.seconds)

    def _start(self) -> JobOutput | None:
        return SampleJob(self.plan, self.batch, self.context).load()

    def run(self) -> Generator[Progress, None, JobOutput]:
        config, start = self.plan.config(self.entry, self.batch), self._start()
        if start is None:
            raise ValueError(f"{self.path} needs the samples of its batch, which are missing; run the command again")
        run = self.context.open_run(config)
        objects = build(config, self.context.priors.load(config.prior))
        if self.entry.start == "sample":
            first = safetensors.torch.load((start.folder / WEIGHTS).read_bytes())
            objects = replace(objects, initialize=partial(_set, objects.generator, first))
        yield from train(run, replace(objects, enlarged=False), config.steps)
        result = self.load()
        if result is None:
            raise ValueError(f"files of {self.path} were removed while it ran; remove that folder and run again")
        return result


def _set(generator: BaseGenerator, state: Mapping[str, Tensor], context: StartContext) -> Iterator[Progress]:
    """Sets the drawings that a method starts from."""
    generator.load_state_dict(state)
    yield Progress("start", 1, 1)


def _state(generator: BaseGenerator) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in generator.state_dict().items()}


def _errors(svgs: tuple[str, ...], images: Float[Tensor, "n 3 h w"]) -> tuple[float, ...]:
    return tuple(render_error(svg, image) for svg, image in zip(svgs, images, strict=True))


def _plain(drawings: MadeDrawings) -> dict[str, Any]:
    return {name: value for name, value in asdict(drawings).items() if name != "batch"}
