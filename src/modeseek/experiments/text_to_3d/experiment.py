"""Text-to-3D experiment: runs and measures the jobs of a plan, then writes tables, contact sheet and report."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from modeseek.experiments.common.metric_table import MetricTable
from modeseek.experiments.common.results_files import RunRecord, write_metrics, write_results
from modeseek.experiments.text_to_3d.contact_sheet import ContactSheet
from modeseek.experiments.text_to_3d.findings import summarise
from modeseek.experiments.text_to_3d.jobs import PriorCache, TextTo3DJobContext, finished_run, load_nerf, run_job
from modeseek.experiments.text_to_3d.measure import TURNTABLE, load_measures, measure, measure_ground_truth
from modeseek.experiments.text_to_3d.plan import TextTo3D, TextTo3DJob
from modeseek.experiments.text_to_3d.report import TextTo3DReport, write_report
from modeseek.experiments.text_to_3d.table import TRUTH, TextTo3DJobResult, fronts_table, main_table, measures_of
from modeseek.io.atomic import LineFile, write_atomic
from modeseek.io.progress import Progress
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.rundir.run_dir import Run
from modeseek.runs.experiment_folder import experiment_session
from modeseek.runs.interrupts import RunFailed

JOBS = "plays"
_TRUTHS = Path("media") / "truth"


@dataclass(frozen=True)
class TextTo3DResult:
    """Result of the text-to-3D experiment.

    Attributes:
        folder: run folder.
        report: tables, summary and images.
    """

    folder: Path
    report: TextTo3DReport


def run_text_to_3d(
    plan: TextTo3D, run: Run, classifier: SceneClassifier, priors: PriorCache
) -> Generator[Progress, None, TextTo3DResult]:
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
    with experiment_session(run) as log:
        folder = run.path / JOBS
        folder.mkdir(exist_ok=True)
        context = TextTo3DJobContext(folder, priors, shlex.split(run.command))
        jobs = plan.jobs()
        results: list[TextTo3DJobResult] = []
        failures: list[str] = []
        for number, job in enumerate(jobs):
            yield Progress("jobs", number, len(jobs), job.name)
            try:
                results.append((yield from _run_and_measure(plan, job, context, classifier, log)))
            except RunFailed as error:
                failures.append(f"{job.name} is left out, its run failed: {' '.join(str(error).split())[:300]}")
                log.append(failures[-1])
            calls = sum(int(result.measures["calls"]) for result in results)
            replace(run.status, step=len(results), steps=len(jobs), calls=calls).write(run.path)
        yield Progress("jobs", len(jobs), len(jobs))
        if not results:
            raise RunFailed(f"no job finished: {failures[0]}")
        truth = _measure_truth(plan, run, classifier)
        report = _report(plan, run, results, truth, failures)
        _write(plan, run, report, truth)
    return TextTo3DResult(run.path, report)


def titles(plan: TextTo3D) -> dict[str, str]:
    """Display titles of all table rows."""
    titles = {TRUTH: "Ground truth"} | {entry.name: entry.title for entry in plan.entries}
    for entry in plan.entries:
        titles |= {f"{entry.name}@{view.name}": f"{entry.title}, {view.name}" for view in plan.conditionings}
    return titles


def _run_and_measure(
    plan: TextTo3D, job: TextTo3DJob, context: TextTo3DJobContext, classifier: SceneClassifier, log: LineFile
) -> Generator[Progress, None, TextTo3DJobResult]:
    """Runs one job and measures it, unless an earlier session did."""
    fresh = finished_run(context.folder, job) is None
    with closing(run_job(plan, job, context)) as walk:
        while True:
            try:
                progress = next(walk)
            except StopIteration as end:
                run: Run = end.value
                break
            yield replace(progress, stage=job.name)
    measures = None if fresh else load_measures(run)
    if measures is None:
        nerf = load_nerf(run, context.priors)
        measures = measure(run, nerf, plan.scenes[job.caption], classifier, not job.conditioning.conditioned)
        log.append(f"{job.name}: {run.status.calls} calls, {run.status.seconds:.1f} s, IoU {measures['iou']:.3f}")
    return TextTo3DJobResult(job, measures)


def _measure_truth(plan: TextTo3D, run: Run, classifier: SceneClassifier) -> dict[int, dict[str, float]]:
    """Measures of the ground truths by caption number; writes their turntable strips."""
    (run.path / _TRUTHS).mkdir(exist_ok=True)
    return {
        number: measure_ground_truth(run.path / _TRUTHS / f"{number:02d}.png", scene, classifier)
        for number, scene in enumerate(plan.scenes)
    }


def _report(
    plan: TextTo3D, run: Run, results: list[TextTo3DJobResult], truth: dict[int, dict[str, float]], failures: list[str]
) -> TextTo3DReport:
    table, fronts, names = main_table(plan, results, truth), fronts_table(plan, results), titles(plan)
    sheet = _contact_sheet(plan, run, results)
    missing = [*failures, *_remarks(plan, results, table)]
    return TextTo3DReport(
        table, fronts, names, summarise(plan, results), missing, results, sheet.png(), sheet.turntable_gif()
    )


def _contact_sheet(plan: TextTo3D, run: Run, results: list[TextTo3DJobResult]) -> ContactSheet:
    """Contact sheet of the first seed: the ground truth, then the entries by view conditioning."""
    columns = [
        (entry, conditioning)
        for conditioning in plan.conditionings
        for entry in plan.entries
        if measures_of(results, entry, conditioning)
    ]
    strips = {(row, 0): run.path / _TRUTHS / f"{row:02d}.png" for row in range(len(plan.captions))}
    for job in (result.job for result in results if result.job.seed == 0):
        strips[job.caption, 1 + columns.index((job.entry, job.conditioning))] = run.path / JOBS / job.name / TURNTABLE
    first = plan.conditionings[0]
    heads = [entry.title if view == first else f"{entry.title} ({view.name})" for entry, view in columns]
    return ContactSheet(plan.captions, ["Ground truth", *heads], strips)


def _remarks(plan: TextTo3D, results: list[TextTo3DJobResult], table: MetricTable) -> list[str]:
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


def _write(plan: TextTo3D, run: Run, report: TextTo3DReport, truth: dict[int, dict[str, float]]) -> None:
    exports, media = run.path / "exports", run.path / "media"
    write_atomic(media / "sheet.png", report.sheet)
    write_atomic(media / "turntables.gif", report.turntables)
    facts = {
        "captions": list(plan.captions),
        "findings": list(report.findings),
        "lacking": list(report.missing),
        "fronts": {row.name: row.values for row in report.fronts.rows},
        "truth": {plan.captions[number]: values for number, values in truth.items()},
        "things": {result.job.name: dict(result.measures) for result in report.results},
    }
    record = RunRecord(f"Text to 3-D under {plan.prior}", run.command, run.settings)
    write_metrics(run, report.table)
    write_results(exports, record, report.table, facts)
    write_atomic(exports / "fronts.csv", report.fronts.csv())
    tables = [report.table.markdown(report.titles)]
    if report.fronts.rows:
        tables.append(report.fronts.markdown(report.titles))
    write_atomic(exports / "table.md", "\n".join([*tables, *(f"- {line}" for line in report.findings)]) + "\n")
    write_report(run, plan, report)
