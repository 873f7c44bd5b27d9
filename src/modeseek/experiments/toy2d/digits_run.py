"""Run of a benchmark on digits: prior, benchmark, figures, report."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from modeseek.experiments.common.results_files import ExperimentResult, RunRecord, write_metrics, write_results
from modeseek.experiments.toy2d.digits import DigitsPlan, DigitsResult, benchmark_digits
from modeseek.experiments.toy2d.figures.sheets import draw_animated_sheets, draw_contact_sheets
from modeseek.experiments.toy2d.report import Figure, write_report
from modeseek.experiments.toy2d.train_prior import PriorRecipe, save_network, train_network
from modeseek.io.progress import Progress
from modeseek.priors.base import Prior
from modeseek.rundir.run_dir import Run
from modeseek.runs.session import run_session

_MOVING = ("sds", "sdi", "msd")


def run_digits(
    plan: DigitsPlan, prior: Prior | PriorRecipe, record: RunRecord, run: Run, save: Path | None = None
) -> Generator[Progress, None, ExperimentResult]:
    """Trains the prior if it is a recipe, runs the benchmark and writes the results to the run folder.

    A trained network is saved to `exports/network`, and to `save` if given.

    Raises:
        ValueError: the plan is invalid.
        OSError: the folder cannot be written to.
    """
    plan.check()
    with run_session(run):
        if isinstance(prior, PriorRecipe):
            network = yield from train_network(plan.problem.train, plan.problem.train_labels, prior, plan.seed)
            prior = save_network(network, run, save)
        result = yield from benchmark_digits(plan, prior)
        findings = summarise(result)
        yield from _write(result, run, record, findings)
    return ExperimentResult(run.path, result.table, findings)


def summarise(result: DigitsResult) -> tuple[str, ...]:
    """Summary of the table, a sentence each."""
    values = {row.name: row.values for row in result.table.rows}
    ranked = sorted(
        (o.entry for o in result.outcomes if o.entry.name != "ddim"),
        key=lambda c: values[c.name]["log_likelihood"],
        reverse=True,
    )
    if not ranked:
        return ()
    best = ranked[0]
    order = ", ".join(f"{c.name} {values[c.name]['log_likelihood']:.1f}" for c in ranked[1:])
    lines = [
        f"Highest held-out log-likelihood: {best.title} with {values[best.name]['log_likelihood']:.1f}"
        + (f"; then {order}." if order else ".")
    ]
    lines.append(
        f"Training images score {values['training images']['log_likelihood']:.1f}: end points above that are more "
        "typical of their class than real images, as modes are; the price is diversity."
    )
    return tuple(lines)


def _write(
    result: DigitsResult, run: Run, record: RunRecord, findings: tuple[str, ...]
) -> Generator[Progress, None, None]:
    figures = [
        Figure(
            run.path / "media" / "sheets.png",
            "End points",
            "100 end points per method, and 100 held-out images with the same labels. All methods start from the same "
            "noise, except DDIM, which starts from noise at its own first level.",
        )
    ]
    moving = [o.entry.name for o in result.outcomes if o.entry.name in _MOVING]
    yield Progress("drawing", 0, 2)
    draw_contact_sheets(result, figures[0].path)
    yield Progress("drawing", 1, 2)
    if moving:
        draw_animated_sheets(result, moving, run.path / "media" / "images.gif")
        titles = ", ".join(o.entry.title for o in result.outcomes if o.entry.name in moving)
        figures.append(
            Figure(
                run.path / "media" / "images.gif", "Trajectories", f"From noise to end points, left to right: {titles}."
            )
        )
    write_metrics(run, result.table)
    write_results(
        run.path / "exports", record, result.table, {"bandwidth": result.plan.bandwidth, "findings": list(findings)}
    )
    sources = ["digits"] + (["guidance"] if result.plan.scale != 1 else [])
    entries = [o.entry for o in result.outcomes]
    write_report(run.path / "report.html", record, findings, result.table, entries, figures, sources)
    yield Progress("drawing", 2, 2)
