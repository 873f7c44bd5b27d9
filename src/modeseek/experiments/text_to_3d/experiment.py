"""Text-to-3D experiment: runs and measures the jobs of a plan, then writes tables, contact sheet and report."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from modeseek.experiments.text_to_3d.findings import summarise
from modeseek.experiments.text_to_3d.jobs import ShapeJob, ShapeResults
from modeseek.experiments.text_to_3d.measure import FRAMES, TURNTABLE, measure_ground_truth, read_strip
from modeseek.experiments.text_to_3d.plan import TextTo3D
from modeseek.experiments.text_to_3d.report import write_report
from modeseek.experiments.text_to_3d.table import TRUTH, fronts_table, main_table
from modeseek.io.atomic import write_atomic
from modeseek.io.images import encode_gif
from modeseek.io.progress import Progress
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.reports.contact_sheet import ContactSheet, Tile
from modeseek.reports.results_files import ExperimentResult, write_experiment
from modeseek.reports.table import Table
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed
from modeseek.runs.jobs import JobContext, PriorCache, run_jobs
from modeseek.runs.session import run_session

JOBS = "plays"
_TRUTHS = Path("media") / "truth"
_SHOWN = (0, 6, 12, 18)  # of the 24 turntable views: front, right, back, left
_SIDE = 72  # of a tile, pixels
_MOVING = 6  # maximum number of captions in the GIF
_SECONDS = 4.0  # duration of a turn


def run_text_to_3d(
    plan: TextTo3D, run: Run, classifier: SceneClassifier, priors: PriorCache
) -> Generator[Progress, None, ExperimentResult]:
    """Runs and measures all unfinished jobs, then writes the results.

    A failed job is left out of the tables and listed; it is retried in the next session.

    Args:
        plan: the plan.
        run: run folder of the experiment.
        classifier: scene classifier.
        priors: cache of loaded priors.

    Raises:
        modeseek.runs.interrupts.RunInterrupted: stopped on request; the next call resumes.
        modeseek.runs.interrupts.RunFailed: no job finished.
        ValueError: the settings conflict, or another process holds the folder.
    """
    with run_session(run, resumable=True) as log:
        context = JobContext(run.path / JOBS, priors, shlex.split(run.command))
        jobs = [ShapeJob(plan, spec, classifier, context) for spec in plan.jobs()]
        groups, failures = yield from run_jobs(run, jobs, log)
        results = ShapeResults(result for group in groups.values() for result in group)
        if not results:
            raise RunFailed(f"no job finished: {failures[0]}")
        (run.path / _TRUTHS).mkdir(exist_ok=True)
        truth = {
            plan.captions[number]: measure_ground_truth(run.path / _TRUTHS / f"{number:02d}.png", scene, classifier)
            for number, scene in enumerate(plan.scenes)
        }
        table, fronts = main_table(plan, results, truth), fronts_table(plan, results)
        missing = (*failures, *_remarks(plan, results, table))
        more = {"Captions with a front face": fronts}
        result = ExperimentResult(run.path, table, summarise(plan, results), _titles(plan), missing, more)
        _write(plan, run, result, results, truth)
    return result


def _titles(plan: TextTo3D) -> dict[str, str]:
    """Display titles of all table rows."""
    titles = {TRUTH: "Ground truth"} | {variant.name: variant.title for variant in plan.variants}
    for variant in plan.variants:
        titles |= {f"{variant.name}@{view.name}": f"{variant.title}, {view.name}" for view in plan.conditionings}
    return titles


def _remarks(plan: TextTo3D, results: ShapeResults, table: Table) -> list[str]:
    remarks = []
    if any("watertight" not in result.measures for result in results):
        remarks.append("Meshes are missing without scikit-image: pip install 'modeseek[mesh]', then use another --out.")
    runs = {row.name: row.values["plays"] for row in table.rows if "plays" in row.values}
    if len(set(runs.values())) > 1:
        counts = ", ".join(f"{name} {number:.0f}" for name, number in runs.items())
        remarks.append(f"Numbers of runs differ ({counts}): compare the paired sentences, not the rows.")
    if min(runs.values(), default=0) < 3:
        remarks.append("Rows of fewer than three runs have no intervals.")
    if not plan.with_front:
        remarks.append("No caption has a front face, so front faces are not counted.")
    return remarks


def _write(
    plan: TextTo3D,
    run: Run,
    result: ExperimentResult,
    results: ShapeResults,
    truth: Mapping[str, Mapping[str, float]],
) -> None:
    (fronts,) = result.more.values()
    facts = {
        "captions": list(plan.captions),
        "fronts": {row.name: row.values for row in fronts.rows},
        "truth": {caption: dict(values) for caption, values in truth.items()},
        "things": {found.job.name: dict(found.measures) for found in results},
    }
    write_experiment(run, f"Text to 3-D under {plan.prior}", result, facts)
    write_atomic(run.path / "exports" / "fronts.csv", fronts.csv())
    sheet, turntables = _draw(plan, run, results)
    write_atomic(run.path / "media" / "sheet.png", sheet)
    write_atomic(run.path / "media" / "turntables.gif", turntables)
    write_report(run, plan, result, results, sheet, turntables)


def _draw(plan: TextTo3D, run: Run, results: ShapeResults) -> tuple[bytes, bytes]:
    """Contact sheet and turntable GIF of the first seed: a row per caption, a column per variant and view conditioning.

    The ground truth comes first. The sheet shows of each shape its front and right view, below them its back and left.
    """
    columns = [
        (variant, views)
        for views in plan.conditionings
        for variant in plan.variants
        if results.where(variant=variant, views=views)
    ]
    strips: dict[tuple[int, int], Tensor] = {}
    for row in range(len(plan.captions)):
        strips[row, 0] = read_strip(run.path / _TRUTHS / f"{row:02d}.png")
    for column, (variant, views) in enumerate(columns, 1):
        for found in results.where(variant=variant, views=views, seed=0):
            strips[found.job.caption, column] = read_strip(run.path / JOBS / found.job.name / TURNTABLE)
    first = plan.conditionings[0]
    titles = [variant.title if views == first else f"{variant.title} ({views.name})" for variant, views in columns]
    headings = ["Ground truth", *titles]

    def cells(rows: int, views: tuple[int, ...]) -> list[list[list[Tile]]]:
        """Tiles of a shape's views; none where the method did not run the caption."""
        return [
            [[Tile(strips[row, k][view]) for view in views if (row, k) in strips] for k in range(len(headings))]
            for row in range(rows)
        ]

    sheet = ContactSheet(cells(len(plan.captions), _SHOWN), headings, plan.captions, _SIDE, 2, font=17, label_width=216)
    captions = plan.captions[:_MOVING]
    side = strips[0, 0].shape[-1]
    frames = [
        ContactSheet(cells(len(captions), (view,)), headings, captions, side, font=12, label_width=110, gap=6).draw()
        for view in range(FRAMES)
    ]
    return sheet.png(), encode_gif(torch.stack(frames), _SECONDS)
