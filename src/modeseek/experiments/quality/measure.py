"""Measurement of the experiment on quality against calls: scores of every image, and tables of cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.experiments.quality.plan import Cell, Prompt
from modeseek.experiments.quality.scorers import Scorer
from modeseek.experiments.text_to_image.jobs import BatchResult
from modeseek.io.images import read_images
from modeseek.io.progress import Progress
from modeseek.metrics.bootstrap import Estimate, mean_with_interval
from modeseek.metrics.image_statistics import clipped_fraction, saturation, sharpness
from modeseek.reports.table import Column, Row, row_values

STATISTICS = {"saturation": saturation, "clipped": clipped_fraction, "sharpness": sharpness}
COLUMNS = (
    Column("saturation", "Saturation", "Mean HSV saturation, 0 to 1.", ".3f"),
    Column("clipped", "Clipped", "Share of channel values at 0 or 255.", ".3f"),
    Column("sharpness", "Sharpness", "RMS Laplacian of the luma; counts noise as well as edges.", ".3f"),
    Column("relative_shift", "Shift", "|shift| / (h sqrt(d)) in the last step; 0 is a fixed point.", ".2e"),
    Column("apart", "Seeds apart", "RMS distance of pixel values of two images of one prompt from different seeds; 0 "
           "where all seeds end in one image.", ".3f"),
    Column("calls", "Calls", "Prior calls per image; a guided evaluation is two.", ".0f"),
    Column("updates", "Auxiliary updates", "Training steps of the auxiliary network per image, which are no prior "
           "calls.", ".0f"),
    Column("seconds", "Seconds", "Run time of a batch divided by its images.", ".3g"),
)  # fmt: skip


@dataclass(frozen=True)
class ScoredBatch:
    """Finished batch with the scores of its images.

    Attributes:
        result: the finished batch.
        values: scores and statistics by key, one number per image.
    """

    result: BatchResult
    values: Mapping[str, Float[Tensor, "n"]]


@dataclass(frozen=True)
class ScoredCell:
    """Images of a cell with their scores.

    Attributes:
        cell: method and budget.
        batches: finished batches.
        seed: random seed of the intervals.
    """

    cell: Cell
    batches: tuple[ScoredBatch, ...]
    seed: int

    @property
    def items(self) -> list[tuple[int, int]]:
        """(prompt, seed) of each image."""
        return [item for batch in self.batches for item in batch.result.batch.items]

    @property
    def prompts(self) -> Int[Tensor, "n"]:
        """Number of each image's prompt."""
        return torch.tensor([prompt for prompt, _ in self.items])

    def values(self, key: str) -> Float[Tensor, "n"]:
        """Score or statistic of each image."""
        return torch.cat([batch.values[key] for batch in self.batches])

    def mean(self, key: str) -> Estimate:
        """Mean of a score with its 95 % interval, by resampling prompts."""
        return mean_with_interval(self.values(key), self.prompts, self.seed)

    @property
    def has_images(self) -> bool:
        """Whether the files of all images are there; scores are kept without them."""
        return all(batch.result.images for batch in self.batches)

    @property
    def calls(self) -> float:
        """Prior calls per image, as counted."""
        return sum(batch.result.calls for batch in self.batches) / len(self.items)

    def apart(self) -> Estimate | None:
        """RMS distance between images of one prompt from two seeds; None with one seed, or without the images."""
        if not self.has_images:
            return None
        by_prompt: dict[int, list[Tensor]] = {}
        for batch in self.batches:
            for (prompt, _), image in zip(batch.result.batch.items, read_images(batch.result.images), strict=True):
                by_prompt.setdefault(prompt, []).append(image)
        pairs = [
            (prompt, (a - b).square().mean().sqrt())
            for prompt, images in by_prompt.items()
            for a, b in combinations(images, 2)
        ]
        if not pairs:
            return None
        groups = torch.tensor([prompt for prompt, _ in pairs])
        return mean_with_interval(torch.stack([distance for _, distance in pairs]), groups, self.seed)

    def row(self, scores: Sequence[Column], updates: int = 0) -> Row:
        """Row of the table.

        Args:
            scores: columns of the scorer.
            updates: training steps of an auxiliary network in the run of an image; 0 for none.
        """
        values = row_values({column.key: self.mean(column.key) for column in scores})
        values |= {key: self.mean(key).value for key in STATISTICS}
        shifts = [batch.result.relative_shift for batch in self.batches]
        known = [shift for shift in shifts if shift is not None]
        if known:
            values["relative_shift"] = sum(known) / len(known)
        apart = self.apart()
        if apart is not None:
            values["apart"] = apart.value
        values["calls"] = self.calls
        if updates:
            values["updates"] = float(updates)
        values["seconds"] = sum(batch.result.seconds for batch in self.batches) / len(self.items)
        return Row(self.cell.name, values, reference=self.cell.entry.make is None)


def image_table(cells: Sequence[ScoredCell], scores: Sequence[Column]) -> str:
    """CSV with a line per image: method, budget, prompt number, seed number, scores and statistics."""
    keys = [*(column.key for column in scores), *STATISTICS]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["method", "budget", "prompt", "seed", *keys])
    for cell in cells:
        columns = [cell.values(key).tolist() for key in keys]
        for (prompt, seed), *values in zip(cell.items, *columns, strict=True):
            writer.writerow([cell.cell.entry.name, cell.cell.budget, prompt, seed, *values])
    return out.getvalue()


def score_batches(
    results: Sequence[BatchResult], prompts: Sequence[Prompt], scorer: Scorer
) -> Generator[Progress, None, list[ScoredBatch]]:
    """Scores all images of finished batches in one pass of the scorer."""
    if not results:
        return []
    images = torch.cat([read_images(result.images) for result in results])
    truths = [prompts[prompt].truth for result in results for prompt, _ in result.batch.items]
    scores = yield from scorer.score(images, truths)
    values = scores | {key: statistic(images) for key, statistic in STATISTICS.items()}
    sizes = [len(result.batch.items) for result in results]
    parts = {key: value.split(sizes) for key, value in values.items()}
    return [
        ScoredBatch(result, {key: part[index] for key, part in parts.items()}) for index, result in enumerate(results)
    ]
