"""Job of the text-to-3D experiment: the optimisation of one shape, and its measures."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors.torch

from modeseek.config.config import Config
from modeseek.experiments.text_to_3d.measure import MESH, load_measures, measure, write_mesh
from modeseek.experiments.text_to_3d.plan import TextTo3D, TextTo3DJob
from modeseek.experiments.text_to_3d.representations import Variant
from modeseek.experiments.text_to_3d.view_conditioning import ViewConditioning
from modeseek.generators.base import BaseGenerator
from modeseek.generators.ensemble import single_shape
from modeseek.generators.generator3d import Generator3D
from modeseek.io.atomic import remove_folder, write_atomic
from modeseek.io.progress import Progress
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.reports.run_page import write_run_page
from modeseek.rundir.run_dir import Run
from modeseek.runs.build import build
from modeseek.runs.interrupts import RunFailed
from modeseek.runs.jobs import Job, JobContext
from modeseek.runs.train import train

WEIGHTS = Path("exports") / "generator.safetensors"


@dataclass(frozen=True)
class ShapeJobResult:
    """Measures of a finished job.

    Attributes:
        job: the job.
        measures: measures by key of `METRICS`; absent where they do not apply.
    """

    job: TextTo3DJob
    measures: Mapping[str, float]

    @property
    def calls(self) -> int:
        """Prior calls of the run."""
        return int(self.measures["calls"])

    @property
    def seconds(self) -> float:
        """Optimisation time."""
        return self.measures["seconds"]


class ShapeResults(tuple[ShapeJobResult, ...]):
    """Measures of finished jobs."""

    def where(
        self, *, variant: Variant | None = None, views: ViewConditioning | None = None, seed: int | None = None
    ) -> ShapeResults:
        """Those of a method on a representation, of a view conditioning and of a seed; None is any."""
        return ShapeResults(
            result
            for result in self
            if variant in (None, result.job.variant)
            and views in (None, result.job.conditioning)
            and seed in (None, result.job.seed)
        )

    def values(self, key: str) -> list[float]:
        """Values of a measure, of the jobs that have it."""
        return [result.measures[key] for result in self if key in result.measures]


@dataclass(frozen=True)
class ShapeJob(Job[ShapeJobResult]):
    """Run folder of one shape.

    The exports of `modeseek shape` (turntable, strips, mesh) are skipped: they take longer than a short run, and
    `measure` renders what it needs.

    Attributes:
        plan: the plan.
        spec: entry, caption and seed.
        classifier: scene classifier.
        context: context of the experiment.
    """

    plan: TextTo3D
    spec: TextTo3DJob
    classifier: SceneClassifier
    context: JobContext

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def group(self) -> str:
        return self.spec.name

    @property
    def _first(self) -> Config | None:
        """Configuration of the first stage, if the job has one."""
        return self.plan.first_stage(self.spec)

    @property
    def _config(self) -> Config:
        """Configuration of the run that is measured."""
        first = self._first
        return self.plan.config(self.spec) if first is None else self.plan.config(self.spec, self._mesh(first))

    def _mesh(self, first: Config) -> Path:
        return self.context.folder / first.name / MESH

    def load(self) -> ShapeJobResult | None:
        run = self._finished_run(self._config)
        measures = None if run is None else load_measures(run)
        return None if measures is None else ShapeJobResult(self.spec, measures)

    def run(self) -> Generator[Progress, None, ShapeJobResult]:
        first, stages = self._first, []
        if first is not None:
            stages.append((yield from self.optimise(first)))
            if not self._mesh(first).is_file():
                _, summary = write_mesh(stages[0], self._generator(stages[0], first))
                if not self._mesh(first).is_file():
                    raise RunFailed(f"the first stage has no mesh: {summary}")
        stages.append((yield from self.optimise(self._config)))
        scene, free_yaw = self.plan.scenes[self.spec.caption], not self.spec.conditioning.conditioned
        generator = self._generator(stages[-1], self._config)
        return ShapeJobResult(self.spec, measure(stages, generator, scene, self.classifier, free_yaw))

    def optimise(self, config: Config) -> Generator[Progress, None, Run]:
        """Optimises a stage of the shape and saves its weights, unless an earlier session did so.

        Raises:
            modeseek.runs.interrupts.RunInterrupted: stopped on request; resumable.
            modeseek.runs.interrupts.RunFailed: a direction is not finite, or memory ran out.
        """
        finished = self._finished_run(config)
        if finished is not None:
            return finished
        run = self.context.open_run(config)
        objects = build(config, self.context.priors.load(config.prior))
        with closing(train(run, objects, config.steps)) as steps:
            for progress in steps:
                yield progress
                if progress.stage == "optimising" and progress.done == progress.total:
                    break  # the last checkpoint is written; the rest would be exports
        _save_weights(run, objects.generator)
        return run

    def _finished_run(self, config: Config) -> Run | None:
        """The run of a stage, or None unless it is finished and its weights exist."""
        run = self.context.find_run(config)
        done = run is not None and (run.path / WEIGHTS).is_file() and run.status.state == "finished"
        return run if done else None

    def _generator(self, run: Run, config: Config) -> Generator3D:
        """The optimised generator of a finished stage.

        Raises:
            ValueError: the weights are damaged.
            OSError: the weights cannot be read.
        """
        generator = config.generator.make(self.context.priors.load(config.prior), config.seed).module
        try:
            generator.load_state_dict(safetensors.torch.load_file(run.path / WEIGHTS, device=config.device))
        except (RuntimeError, safetensors.SafetensorError) as error:
            raise ValueError(f"{run.path / WEIGHTS} is damaged; remove {run.path} and run the command again") from error
        return single_shape(generator.requires_grad_(False), "the experiment")


def _save_weights(run: Run, generator: BaseGenerator) -> None:
    """Writes the weights and removes the checkpoints, which take six times the space."""
    weights = {name: tensor.contiguous() for name, tensor in generator.state_dict().items()}
    write_atomic(run.path / WEIGHTS, safetensors.torch.save(weights))
    replace(run.status, state="finished", reason="", checkpoint=None).write(run.path)
    write_run_page(run)
    for path in run.checkpoints:
        remove_folder(path)
