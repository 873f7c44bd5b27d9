"""Plain samples of a pipeline, kept as a run: what the optimised pictures are compared with."""

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
from modeseek.reports.html import code, data_uri, page, safe, section, sources
from modeseek.rng import Streams
from modeseek.rundir.run_dir import Run
from modeseek.runs.previews import PreviewPainter
from modeseek.runs.session import run_session


@dataclass(frozen=True)
class SamplingConfig:
    """What is drawn.

    Attributes:
        prior: the pipeline.
        conditions: one row an item.
        n: items.
        scale: of guidance.
        steps: of the sampler.
        sampler: ddim or heun, called once a step.
        seed: item i draws from its own stream, whatever the others are.
        title: of the page.
        columns: of the sheet; None: as square as it can be.
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


def sample_to_run(run: Run, drawing: SamplingConfig) -> Generator[Progress, None, int]:
    """Samples, and writes `exports/image-*.png`, `media/sheet.png` and the report; returns the prior calls spent."""
    with run_session(run):
        counting = Counting(drawing.prior)
        prior: Prior = counting if drawing.scale == 1 else Guided(counting, drawing.scale)
        z = counting.start(drawing.n, Streams(drawing.seed, items=tuple(range(drawing.n)), use="start"))
        times = drawing.prior.grid(drawing.steps)
        for step in range(drawing.steps):
            with torch.no_grad():  # never across a yield: whoever goes on in between wants gradients
                z = drawing.sampler(prior, z, times[step : step + 2], drawing.conditions)
            yield Progress("sampling", step + 1, drawing.steps)
        with torch.no_grad():
            shown = drawing.prior.codec.decode(z)
        for index, image in enumerate(shown):
            write_atomic(run.path / "exports" / f"image-{index:03d}.png", encode_png(image))
        sheet = PreviewPainter(tuple(shown.shape[1:]), drawing.prior, None, None).draw(shown, drawing.columns)
        write_atomic(run.path / "media" / "sheet.png", sheet)
        _report(run, drawing, sheet, counting.calls)
    return counting.calls


def _report(run: Run, drawing: SamplingConfig, sheet: bytes, calls: int) -> None:
    told = f"{drawing.n} samples, {drawing.steps} steps, guidance {drawing.scale:g}, {calls} prior calls in all."
    figure = f"<figure><img src='{data_uri(sheet, 'image/png')}' alt='samples'></figure>"
    body = [
        f"<header><p class='kicker'>modeseek</p><h1>{safe(drawing.title)}</h1>",
        f"<p class='lead'>{safe(told)}</p></header>",
        section("Samples", figure),
        section("Configuration", code((run.path / "config.yaml").read_text(encoding="utf-8"))),
        section("Run it again", code(run.command)),
        sources(["ddim", *(["guidance"] if drawing.scale != 1 else [])]),
    ]
    write_atomic(run.path / "report.html", page(drawing.title, body))
