"""Text-to-SVG experiment: tunes the methods, runs the jobs of a plan, measures their SVG files, writes the results."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from dataclasses import replace

from modeseek.experiments.text_to_svg.jobs import DrawingJob, SampleJob
from modeseek.experiments.text_to_svg.measure import Ruler, measure_outputs
from modeseek.experiments.text_to_svg.plan import TextToSvg
from modeseek.experiments.text_to_svg.report import write_drawing_results
from modeseek.experiments.text_to_svg.tuning import TunedDrawing, tune_drawings
from modeseek.io.progress import Progress
from modeseek.reports.results_files import ExperimentResult
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed
from modeseek.runs.jobs import JobContext, PriorCache, run_jobs
from modeseek.runs.session import run_session

JOBS, MEASURES = "jobs", "measures"


def run_text_to_svg(
    plan: TextToSvg, run: Run, priors: PriorCache, ruler: Ruler
) -> Generator[Progress, None, ExperimentResult]:
    """Runs all unfinished jobs, then measures them and writes the results.

    A method with a failed job is left out of the tables and listed; the job is retried in the next session.

    Args:
        plan: the plan.
        run: run folder of the experiment.
        priors: cache of loaded priors.
        ruler: what drawings are measured with.

    Raises:
        modeseek.runs.interrupts.RunInterrupted: stopped on request; the next call resumes.
        modeseek.runs.interrupts.RunFailed: the samples or all methods failed.
        ValueError: the settings conflict, or another process holds the folder.
    """
    with run_session(run, resumable=True) as log:
        context = JobContext(run.path / JOBS, priors, shlex.split(run.command))
        tuned: dict[str, TunedDrawing] = {}
        if plan.tuning is not None:
            tuned = yield from tune_drawings(plan, plan.tuning, run, context, log, ruler.distance)
            entries = (tuned[entry.name].apply(entry) if entry.name in tuned else entry for entry in plan.entries)
            plan = replace(plan, entries=tuple(entries))
        samples = [SampleJob(plan, batch, context) for batch in plan.batches]
        methods = [DrawingJob(plan, entry, batch, context) for batch in plan.batches for entry in plan.entries]
        outputs, failures = yield from run_jobs(run, [*samples, *methods], log)
        if len(outputs) < 2:
            raise RunFailed(f"no method finished: {failures[0]}")
        measured = yield from measure_outputs(ruler, plan.batches, outputs, run.path / MEASURES)
        result = write_drawing_results(plan, run, outputs, measured, tuned, failures)
    return result
