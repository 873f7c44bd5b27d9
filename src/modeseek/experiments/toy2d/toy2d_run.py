"""Run of a benchmark on a 2-D distribution: prior, benchmark, figures, report."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from modeseek.experiments.common.results_files import ExperimentResult, RunRecord, write_metrics, write_results
from modeseek.experiments.toy2d.figures.animation import draw_animation
from modeseek.experiments.toy2d.figures.landscapes import draw_landscapes
from modeseek.experiments.toy2d.figures.panels import draw_panels
from modeseek.experiments.toy2d.figures.style import log_density
from modeseek.experiments.toy2d.objective_grid import landscape
from modeseek.experiments.toy2d.report import Figure, write_report
from modeseek.experiments.toy2d.toy2d import Toy2DPlan, Toy2DResult, benchmark_toy2d
from modeseek.experiments.toy2d.train_prior import PriorRecipe, save_network, train_network
from modeseek.io.progress import Progress
from modeseek.io.thread_pool import single_threaded
from modeseek.priors.base import Prior
from modeseek.rng import Streams, rand
from modeseek.rundir.run_dir import Run
from modeseek.runs.session import run_session

_TRAINING = 20_000  # true samples that a network is trained on
_PIXELS = 320  # side of the density image
_GRID = 161  # grid points per side of an objective
_MOVING = ("sds", "sdi", "msd")


def run_toy2d(
    plan: Toy2DPlan,
    prior: Prior | PriorRecipe,
    record: RunRecord,
    run: Run,
    save: Path | None = None,
    order: str | None = None,
) -> Generator[Progress, None, ExperimentResult]:
    """Trains the prior if it is a recipe, runs the benchmark and writes the results to the run folder.

    A trained network is saved to `exports/network`, and to `save` if given. `order` is the column by which rows and
    panels are sorted, the lowest first; None keeps the order of the entries.

    Raises:
        ValueError: the plan is invalid.
        OSError: the folder cannot be written to.
    """
    plan.check()
    with run_session(run):
        if isinstance(prior, PriorRecipe):
            data, labels = training_data(plan)
            network = yield from train_network(data, labels, prior, plan.seed)
            prior = save_network(network, run, save)
        result = yield from benchmark_toy2d(plan, prior)
        result = result if order is None else result.sorted_by(order)
        findings = summarise(result)
        record = replace(record, settings=record.settings | {"last bandwidth h": f"{plan.bandwidth:.4g}"})
        with single_threaded():
            yield from _write(result, run, record, findings)
    return ExperimentResult(run.path, result.table, findings)


def training_data(plan: Toy2DPlan) -> tuple[Tensor, Tensor | None]:
    """True samples, and their labels where the plan has a target class."""
    exact, rng = plan.problem.prior, Streams(plan.seed, step=3)
    if plan.label is None or exact.labels is None:
        return exact.sample(_TRAINING, rng), None
    mass = torch.zeros(int(exact.labels.max()) + 1, dtype=exact.dtype).index_add(0, exact.labels, exact.weights)
    labels = torch.searchsorted(mass.cumsum(0), rand((_TRAINING,), rng, mass)).clamp(max=len(mass) - 1)
    return exact.sample(_TRAINING, rng, labels), labels


def summarise(result: Toy2DResult) -> tuple[str, ...]:
    """Summary of the table, a sentence each."""
    values = {row.name: row.values for row in result.table.rows}
    lines = []
    if "msd" in values:
        msd = values["msd"]
        lines.append(
            f"MSD ends at a median distance of {msd['distance']:.2g} h from the nearest true mode, with NLL "
            f"{msd['nll']:.3f} and precision {msd['precision']:.3f} after {msd['calls']:.0f} calls per point."
        )
    baselines = [name for name in ("sds", "sds-annealed", "sdi") if name in values]
    if baselines:
        best = min(baselines, key=lambda name: values[name]["nll"])
        row = values[best]
        lines.append(
            f"The best of SDS and SDI by NLL is {best}: {row['nll']:.3f}, precision {row['precision']:.3f}, "
            f"{row['distance']:.2g} h from the nearest mode."
        )
    if "msd" in values and "find-modes" in values:
        lines.append(
            f"Mode seeking costs recall: {values['msd']['recall']:.2f} with MSD from a grid of starts. find_modes, "
            f"started from samples of the prior, reaches {values['find-modes']['recall']:.2f} with modes of "
            f"{100 * values['find-modes']['coverage']:.0f} % of the mass."
        )
    return tuple(lines)


def _write(
    result: Toy2DResult, run: Run, record: RunRecord, findings: tuple[str, ...]
) -> Generator[Progress, None, None]:
    plan = result.plan
    figures = [
        Figure(
            run.path / "media" / "panels.png",
            "End points",
            "End points (dots) and some trajectories (lines) over the true log density. All methods start from the "
            "same grid, except DDIM, which starts from noise, and find_modes, which starts from samples.",
        ),
        Figure(
            run.path / "media" / "landscape.png",
            "Objectives",
            f"At bandwidth H = {result.middle:.3g}: SDS averages the log density over noise, so narrow branches blur "
            "into their surroundings and its minima move; MSD descends the log density of p_H itself.",
        ),
    ]
    moving = [o.entry.name for o in result.outcomes if o.entry.name in _MOVING]
    total = 4 if moving else 3
    yield Progress("drawing", 0, total)
    field = log_density(plan.problem.prior, plan.problem.extent, _PIXELS, plan.cond)
    draw_panels(result, field, figures[0].path)
    yield Progress("drawing", 1, total)
    objectives = landscape(plan.problem.prior, result.middle, plan.problem.extent, _GRID, plan.cond)
    draw_landscapes(objectives, figures[1].path)
    yield Progress("drawing", 2, total)
    if moving:
        draw_animation(result, field, moving, run.path / "media" / "points.gif")
        caption = "The same runs as an animation, aligned by the share of prior calls spent."
        figures.append(Figure(run.path / "media" / "points.gif", "Trajectories", caption))
        yield Progress("drawing", 3, total)
    facts = {
        "bandwidth": plan.bandwidth,
        "direction_bandwidth": result.middle,
        "true_modes": len(result.truth.z),
        "findings": list(findings),
    }
    write_metrics(run, result.table)
    write_results(run.path / "exports", record, result.table, facts)
    entries = [o.entry for o in result.outcomes]
    sources = ["precision-recall", "mmd", "autoguidance"] + (["guidance"] if plan.scale != 1 else [])
    write_report(run.path / "report.html", record, findings, result.table, entries, figures, sources)
    yield Progress("drawing", total, total)
