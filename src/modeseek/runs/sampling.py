"""Samples of a pipeline, saved as a run: the baseline for optimised images."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from modeseek.io.atomic import write_atomic
from modeseek.io.images import encode_png
from modeseek.io.progress import Progress
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import Guided
from modeseek.priors.pipeline import Pipeline
from modeseek.priors.wrapper import Counting
from modeseek.reports.results_page import ImageSection, ResultsPage, write_results_page
from modeseek.rng import Streams
from modeseek.rundir.run_dir import Run
from modeseek.runs.previews import PreviewPainter
from modeseek.runs.session import run_session


@dataclass(frozen=True)
class SamplingConfig:
    """Settings of a sampling run.

    Attributes:
        prior: pipeline to sample.
        conditions: conditions, one row per sample.
        n: number of samples.
        scale: guidance scale; 1 is none.
        steps: number of sampler steps.
        sampler: sampler such as ddim or heun, called once per step.
        seed: random seed; sample i has a stream of its own, independent of n.
        title: title of the report.
        columns: number of columns of the sheet; None makes it about square.
    """

    prior: Pipeline
    conditions: Conditions
    n: int
    scale: float
    steps: int
    sampler: Callable[..., Tensor]
    seed: int
    title: str
    columns: int | None = None


def sample_to_run(run: Run, config: SamplingConfig) -> Generator[Progress, None, int]:
    """Samples images, writes `exports/image-*.png`, `media/sheet.png` and the report, and returns the prior calls."""
    with run_session(run):
        counting = Counting(config.prior)
        prior: Prior = counting if config.scale == 1 else Guided(counting, config.scale)
        z = counting.start(config.n, Streams(config.seed, items=tuple(range(config.n)), use="start"))
        times = config.prior.grid(config.steps)
        for step in range(config.steps):
            with torch.no_grad():  # not around the yield: the caller may need gradients in between
                z = config.sampler(prior, z, times[step : step + 2], config.conditions)
            yield Progress("sampling", step + 1, config.steps)
        with torch.no_grad():
            images = config.prior.codec.decode(z)
        for index, image in enumerate(images):
            write_atomic(run.path / "exports" / f"image-{index:03d}.png", encode_png(image))
        sheet = PreviewPainter(tuple(images.shape[1:]), config.prior, None, None).draw(images, config.columns)
        write_atomic(run.path / "media" / "sheet.png", sheet)
        _report(run, config, sheet, counting.calls)
    return counting.calls


def _report(run: Run, config: SamplingConfig, sheet: bytes, calls: int) -> None:
    summary = f"{config.n} samples, {config.steps} steps, guidance {config.scale:g}, {calls} prior calls in total."
    images = [ImageSection("Samples", sheet)]
    sources = ["ddim", *(["guidance"] if config.scale != 1 else [])]
    write_results_page(run, ResultsPage(config.title, [summary], images=images, sources=sources))
