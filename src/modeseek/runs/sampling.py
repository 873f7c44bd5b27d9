"""Samples of a pipeline, saved as a run: the baseline for optimised images."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from modeseek.io.atomic import write_atomic
from modeseek.io.progress import Progress
from modeseek.io.remarks import LOGGED
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import Guided, check_scale
from modeseek.priors.pipeline import Pipeline
from modeseek.priors.wrapper import Counting
from modeseek.reports.results_page import ImageSection, ResultsPage, write_results_page
from modeseek.rng import Streams
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import utc_now
from modeseek.runs.image_files import ImageSettings, contact_sheet, write_images
from modeseek.runs.interrupts import RunFailed
from modeseek.runs.previews import PreviewPainter
from modeseek.runs.session import run_session

MAX_SAMPLES, _MAX_STEPS = 100_000, 1_000_000


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
        remarks: what of prior and prompts was left out, one line each, for the log.
        prompts: prompt of each sample; empty where they are unknown.
        negative: negative prompt, or empty.
        enlarged: whether small images are exported enlarged, too.
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
    remarks: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    negative: str = ""
    enlarged: bool = True

    def __post_init__(self) -> None:
        check_scale(self.scale)
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be in [0, 2^63), got {self.seed}")
        if not 1 <= self.n <= MAX_SAMPLES or not 1 <= self.steps <= _MAX_STEPS:
            raise ValueError(
                f"samples must number 1 to {MAX_SAMPLES:,}, steps 1 to {_MAX_STEPS:,}, got {self.n} and {self.steps}"
            )


def sample_to_run(run: Run, config: SamplingConfig) -> Generator[Progress, None, int]:
    """Samples images, writes them, `results.png`, `media/sheet.png` and the report, and returns the prior calls."""
    with run_session(run) as log:
        for line in config.remarks:
            log.append(f"{utc_now()} {LOGGED}{line}")
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
        if not images.isfinite().all():
            raise RunFailed("samples must be finite, got NaN or infinity; lower the scale, or try another dtype")
        write_images(run, images, _settings(run, config), enlarged=config.enlarged)
        write_atomic(run.path / "results.png", contact_sheet(images, config.prompts))
        sheet = PreviewPainter(tuple(images.shape[1:]), config.prior, None, None).draw(images, config.columns)
        write_atomic(run.path / "media" / "sheet.png", sheet)
        _report(run, config, sheet, counting.calls)
    return counting.calls


def _settings(run: Run, config: SamplingConfig) -> ImageSettings:
    prompts = config.prompts or ("sample",) * config.n
    prior, sampler = run.environment["prior"], config.sampler.__name__
    return ImageSettings(
        prompts, config.seed, sampler, config.steps, config.scale, "samples", prior, config.negative,
        bool(config.prompts),
    )  # fmt: skip


def _report(run: Run, config: SamplingConfig, sheet: bytes, calls: int) -> None:
    summary = f"{config.n} samples, {config.steps} steps, guidance {config.scale:g}, {calls} prior calls in total."
    images = [ImageSection("Samples", sheet)]
    sources = ["ddim", *(["guidance"] if config.scale != 1 else [])]
    write_results_page(run, ResultsPage(config.title, [summary], images=images, sources=sources))
