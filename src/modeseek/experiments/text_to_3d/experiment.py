"""The text-to-3-D experiment from its first play to its report."""

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
from modeseek.experiments.text_to_3d.measure import TURN, load_measures, measure, measure_ground_truth
from modeseek.experiments.text_to_3d.plan import TextTo3D, TextTo3DJob
from modeseek.experiments.text_to_3d.report import TextTo3DReport, write_report
from modeseek.experiments.text_to_3d.table import TRUTH, TextTo3DJobResult, fronts_table, main_table
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
    """What the experiment leaves.

    Attributes:
        folder: where its files lie.
        shown: its numbers, sentences and pictures.
    """

    folder: Path
    report: TextTo3DReport


def run_text_to_3d(
    plan: TextTo3D, run: Run, classifier: SceneClassifier, priors: PriorCache
) -> Generator[Progress, None, TextTo3DResult]:
    """Works through all plays that are not done, measures each, then draws and writes.

    A play that fails is left out of the tables and named; it is tried again in the next call.

    Args:
        plan: what to do.
        run: the folder.
        judge: of scenes.
        shelf: of priors.

    Raises:
        modeseek.runs.interrupts.RunInterrupted: asked to stop; a second call goes on.
        modeseek.runs.interrupts.RunFailed: no play finished.
        ValueError: something does not fit, or another process works there.
    """
    with experiment_session(run) as log:
        folder = run.path / JOBS
        folder.mkdir(exist_ok=True)
        context = TextTo3DJobContext(folder, priors, shlex.split(run.command))
        jobs = plan.jobs()
        results: list[TextTo3DJobResult] = []
        failures: list[str] = []
        for number, job in enumerate(jobs):
            yield Progress("things", number, len(jobs), job.name)
            try:
                results.append((yield from _one(plan, job, context, classifier, log)))
            except RunFailed as error:
                failures.append(f"{job.name} is left out, its run failed: {' '.join(str(error).split())[:300]}")
                log.append(failures[-1])
            calls = sum(int(one.measures["calls"]) for one in results)
            replace(run.status, step=len(results), steps=len(jobs), calls=calls).write(run.path)
        yield Progress("things", len(jobs), len(jobs))
        if not results:
            raise RunFailed(f"no play finished: {failures[0]}")
        truth = _truths(plan, run, classifier)
        report = _report(plan, run, results, truth, failures)
        _write(plan, run, report, truth)
    return TextTo3DResult(run.path, report)


def titles(plan: TextTo3D) -> dict[str, str]:
    """Of all rows, for people."""
    told = {TRUTH: "Truth"} | {entry.name: entry.title for entry in plan.entries}
    for entry in plan.entries:
        told |= {f"{entry.name}@{one.name}": f"{entry.title}, {one.name}" for one in plan.conditionings}
    return told


def _one(
    plan: TextTo3D, job: TextTo3DJob, context: TextTo3DJobContext, classifier: SceneClassifier, log: LineFile
) -> Generator[Progress, None, TextTo3DJobResult]:
    """One play, worked out and measured, unless it was before."""
    fresh = finished_run(context.folder, job) is None
    with closing(run_job(plan, job, context)) as walk:
        while True:
            try:
                now = next(walk)
            except StopIteration as end:
                run: Run = end.value
                break
            yield replace(now, stage=job.name)
    measures = None if fresh else load_measures(run)
    if measures is None:
        nerf = load_nerf(run, context.priors)
        measures = measure(run, nerf, plan.scenes[job.caption], classifier, not job.conditioning.told)
        log.append(f"{job.name}: {run.status.calls} calls, {run.status.seconds:.1f} s, IoU {measures['iou']:.3f}")
    return TextTo3DJobResult(job, measures)


def _truths(plan: TextTo3D, run: Run, classifier: SceneClassifier) -> dict[int, dict[str, float]]:
    """What perfect things would get; their strips of views, each under the number of its caption."""
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
    """The truth, then whoever played, under the first way of telling views and then the others; the first seed."""
    columns = [
        (entry, conditioning)
        for conditioning in plan.conditionings
        for entry in plan.entries
        if any((one.job.entry, one.job.conditioning) == (entry, conditioning) for one in results)
    ]
    strips = {(row, 0): run.path / _TRUTHS / f"{row:02d}.png" for row in range(len(plan.captions))}
    for one in results:
        if one.job.seed == 0:
            column = 1 + columns.index((one.job.entry, one.job.conditioning))
            strips[one.job.caption, column] = run.path / JOBS / one.job.name / TURN
    first = plan.conditionings[0]
    heads = [entry.title if one == first else f"{entry.title} ({one.name})" for entry, one in columns]
    return ContactSheet(plan.captions, ["Truth", *heads], strips)


def _remarks(plan: TextTo3D, results: list[TextTo3DJobResult], table: MetricTable) -> list[str]:
    told = []
    if any("watertight" not in one.measures for one in results):
        told.append(
            "Meshes are missing where the package scikit-image is: pip install 'modeseek[mesh]', then another --out."
        )
    played = {row.name: row.values["plays"] for row in table.rows if "plays" in row.values}
    if len(set(played.values())) > 1:
        told.append(
            "Not all methods played the same things ("
            + ", ".join(f"{name} {number:.0f}" for name, number in played.items())
            + "): their rows do not compare, the paired sentences do."
        )
    if min(played.values(), default=0) < 3:
        told.append("Below three things a method there is nothing to resample: such rows have no intervals.")
    if not plan.with_front:
        told.append("No caption has a front, so fronts are not counted.")
    return told


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
        "things": {one.job.name: dict(one.measures) for one in report.results},
    }
    record = RunRecord(f"Text to 3-D under {plan.prior}", run.command, run.settings)
    write_metrics(run, report.table)
    write_results(exports, record, report.table, facts)
    write_atomic(exports / "fronts.csv", report.fronts.csv())
    told = [report.table.markdown(report.titles)]
    if report.fronts.rows:
        told.append(report.fronts.markdown(report.titles))
    write_atomic(exports / "table.md", "\n".join([*told, *(f"- {line}" for line in report.findings)]) + "\n")
    write_report(run, plan, report)
