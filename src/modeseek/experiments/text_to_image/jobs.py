"""Job of the text-to-image experiment: a batch of images."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.text_to_image.plan import ImageBatch, TextToImage
from modeseek.io.atomic import remove_folder
from modeseek.io.images import read_images
from modeseek.io.progress import Progress
from modeseek.io.remarks import collect_remarks
from modeseek.rundir.run_dir import Run
from modeseek.runs.build import build
from modeseek.runs.image_files import image_names
from modeseek.runs.jobs import Job, JobContext
from modeseek.runs.sampling import SamplingConfig, sample_to_run
from modeseek.runs.train import train
from modeseek.sampling.samplers import ddim

_AT_ONCE = 16  # images read together


@dataclass(frozen=True)
class BatchResult:
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
class ImageJob(Job[BatchResult]):
    """Run folder of a batch of images: an optimisation that resumes, or DDIM samples, which start over.

    Attributes:
        plan: the plan.
        batch: prompts and seeds of the images.
        context: context of the experiment.
    """

    plan: TextToImage
    batch: ImageBatch
    context: JobContext

    @property
    def name(self) -> str:
        return self.batch.name

    @property
    def group(self) -> str:
        return self.batch.group

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.context.folder / self.name

    def load(self) -> BatchResult | None:
        if not (self.path / "status.json").is_file():
            return None
        run = Run(self.path)
        status = run.status
        images = self._images()
        if status.state != "finished" or status.calls == 0 or not all(image.is_file() for image in images):
            return None
        rows = run.metrics
        shift = rows[-1].get("relative_shift") if rows else None
        return BatchResult(
            self.batch, images, status.calls, status.seconds, shift if isinstance(shift, float) else None
        )

    def _images(self) -> tuple[Path, ...]:
        """PNG files of the images; earlier versions numbered them."""
        numbered = [f"image-{index:03d}" for index in range(len(self.batch.items))]
        prompts = [self.plan.prompts[prompt] for prompt, _ in self.batch.items]
        folder = self.path / "exports"
        earlier = (folder / f"{numbered[0]}.png").is_file()
        names = numbered if earlier else image_names(prompts, self.batch.seed)
        return tuple(folder / f"{name}.png" for name in names)

    def run(self) -> Generator[Progress, None, BatchResult]:
        if self.batch.entry.make is None:
            yield from self._sample()
        else:
            config = self.plan.config(self.batch)
            run = self.context.open_run(config)
            objects = replace(build(config, self.context.priors.load(config.prior)), enlarged=False)
            yield from train(run, objects, config.steps)
        result = self.load()
        if result is None:
            raise ValueError(
                f"images of {self.path} were removed while it ran; remove that folder and run the command again"
            )
        return result

    def _sample(self) -> Generator[Progress, None, None]:
        plan, batch, priors = self.plan, self.batch, self.context.priors
        prior = priors.pipeline(plan.prior_config)
        if self.path.exists():
            remove_folder(self.path)
        scale, steps = plan.scales[batch.entry.name], plan.steps_of(batch.entry)
        texts = [plan.prompts[prompt] for prompt, _ in batch.items]
        settings = {"verb": "sample", "prompts": texts, "sampler": "ddim", "steps": steps, "scale": scale}
        run = Run.create(
            settings | {"seed": batch.seed},
            name_parts=[batch.name],
            command=self.context.command,
            prior=priors.load(plan.prior_config).record(plan.prior_config.title),
            device=plan.device,
            out=self.path,
        )
        with collect_remarks() as remarks:
            conditions, title = prior.conditions(texts, None), f"DDIM: {batch.name}"
        remarks = (*priors.load(plan.prior_config).remarks, *remarks)
        config = SamplingConfig(
            prior, conditions, len(texts), scale, steps, ddim, batch.seed, title, remarks=remarks, prompts=tuple(texts),
            enlarged=False,
        )  # fmt: skip
        calls = yield from sample_to_run(run, config)
        replace(run.status, calls=calls, step=steps, steps=steps).write(run.path)


def iterate_images(
    results: Sequence[BatchResult],
) -> Iterator[tuple[Float[Tensor, "n 3 h w"], list[tuple[int, int]]]]:
    """Images of finished jobs, 16 at a time, with (prompt, seed) of each."""
    for result in results:
        for k in range(0, len(result.images), _AT_ONCE):
            yield read_images(result.images[k : k + _AT_ONCE]), list(result.batch.items[k : k + _AT_ONCE])
