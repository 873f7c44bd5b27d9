"""Runner of batches of images: runs the unfinished ones, and scores each once."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from modeseek.experiments.quality.measure import STATISTICS, ScoredBatch, score_batches
from modeseek.experiments.quality.plan import Prompt
from modeseek.experiments.quality.scorers import Scorer
from modeseek.experiments.text_to_image.jobs import BatchResult, ImageJob
from modeseek.experiments.text_to_image.plan import ImageBatch, TextToImage
from modeseek.io.atomic import LineFile, write_atomic
from modeseek.io.progress import Progress
from modeseek.rundir.run_dir import Run
from modeseek.runs.jobs import JobContext, run_jobs

SCORES = "scores.json"


@dataclass(frozen=True)
class ScoredJob(ImageJob):
    """Run folder of a batch that stays finished without its images once they are scored.

    Large experiments can so be kept without them: tables and curves need the scores alone.
    """

    def load(self) -> BatchResult | None:
        result = super().load()
        if result is not None or not (self.path / SCORES).is_file():
            return result
        run = Run(self.path)
        rows = run.metrics
        shift = rows[-1].get("relative_shift") if rows else None
        return BatchResult(self.batch, (), run.status.calls, run.status.seconds, shift)


MakeJob = Callable[[TextToImage, ImageBatch, JobContext], ScoredJob]


@dataclass(frozen=True)
class BatchRunner:
    """Runner of the batches of an experiment.

    Attributes:
        run: run folder of the experiment.
        scorer: scorer of the images.
        context: context of the jobs.
        log: log of the experiment.
        make_job: job of a batch.
    """

    run: Run
    scorer: Scorer
    context: JobContext
    log: LineFile
    make_job: MakeJob
    _scored: dict[str, ScoredBatch] = field(default_factory=dict)

    def jobs(self, plan: TextToImage, batches: Sequence[ImageBatch]) -> list[ScoredJob]:
        """Jobs of batches."""
        return [self.make_job(plan, batch, self.context) for batch in batches]

    def finish(
        self, jobs: Sequence[ScoredJob], prompts: Sequence[Prompt], total: int = 0
    ) -> Generator[Progress, None, tuple[dict[str, list[ScoredBatch]], tuple[str, ...]]]:
        """Runs unfinished jobs, and scores what was not scored before, in one pass of the scorer.

        The scores are kept in `scores.json` of the job's folder; without that file it is scored again.

        Args:
            jobs: jobs, in order.
            prompts: prompts that the items of the batches number.
            total: number of jobs of the whole experiment, for the status.

        Returns:
            Scored batches by group, and a line for each group that failed, which begins with its name.
        """
        groups, lines = yield from run_jobs(self.run, jobs, self.log, total)
        paths = {job.name: job.path / SCORES for job in jobs}
        new = []
        for result in (result for found in groups.values() for result in found):
            name = result.batch.name
            if name not in self._scored and (batch := self._read(paths[name], result)) is not None:
                self._scored[name] = batch
            elif name not in self._scored:
                new.append(result)
        for batch in (yield from score_batches(new, prompts, self.scorer)):
            name = batch.result.batch.name
            values = {key: value.tolist() for key, value in batch.values.items()}
            write_atomic(paths[name], json.dumps(values) + "\n")
            self._scored[name] = batch
        scored = {name: [self._scored[result.batch.name] for result in found] for name, found in groups.items()}
        return scored, lines

    def _read(self, path: Path, result: BatchResult) -> ScoredBatch | None:
        """Scores of an earlier session; None without them, or if they are those of other columns."""
        if not path.is_file():
            return None
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.keys() != {*(column.key for column in self.scorer.columns), *STATISTICS}:
            return None
        return ScoredBatch(result, {key: torch.tensor(value) for key, value in values.items()})
