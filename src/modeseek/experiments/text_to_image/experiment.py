"""The paper's text-to-image experiment from its first job to its report."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from modeseek.config.priors import LoadedPrior
from modeseek.experiments.common.metric_table import MetricTable
from modeseek.experiments.common.results_files import RunRecord, write_metrics, write_results
from modeseek.experiments.text_to_image.contact_sheet import draw_sheet
from modeseek.experiments.text_to_image.entries import ENTRIES
from modeseek.experiments.text_to_image.job_images import export_images
from modeseek.experiments.text_to_image.jobs import JobResult, TextToImageJobContext, finished_job, run_job
from modeseek.experiments.text_to_image.measure import MetricNetworks, measure
from modeseek.experiments.text_to_image.plan import ImageBatch, TextToImage
from modeseek.experiments.text_to_image.report import write_report
from modeseek.io.atomic import LineFile, write_atomic
from modeseek.io.progress import Progress
from modeseek.priors.pipeline import Pipeline
from modeseek.rundir.run_dir import Run
from modeseek.runs.experiment_folder import experiment_session
from modeseek.runs.interrupts import RunFailed

JOBS = "jobs"
_OPTIMISED = {"field": "a coordinate network", "pixels": "a grid of pixels", "latent": "a latent"}


@dataclass(frozen=True)
class TextToImageResult:
    """What the experiment leaves.

    Attributes:
        folder: where its files lie.
        table: its numbers.
        findings: what one sees, a sentence each.
        lacking: what could not be made or measured, a sentence each.
    """

    folder: Path
    table: MetricTable
    findings: tuple[str, ...]
    missing: tuple[str, ...]


def run_text_to_image(
    plan: TextToImage, run: Run, loaded: LoadedPrior, networks: MetricNetworks
) -> Generator[Progress, None, TextToImageResult]:
    """Works through all jobs that are not done, then measures, draws and writes.

    A player whose job fails is left out of the table and named; its job is tried again in the next call.

    Args:
        plan: what to do.
        run: the folder.
        loaded: the pipeline.
        judges: what there is to see with.

    Raises:
        modeseek.runs.interrupts.RunInterrupted: asked to stop; a second call goes on.
        modeseek.runs.interrupts.RunFailed: no player finished.
        ValueError: something does not fit, or another process works there.
    """
    with experiment_session(run) as log:
        folder = run.path / JOBS
        folder.mkdir(exist_ok=True)
        context = TextToImageJobContext(folder, loaded, shlex.split(run.command))
        wanted = {entry.name: plan.batches(entry) for entry in plan.entries}
        reference = plan.references(ENTRIES["ddim"]) if networks.features is not None else []
        total = sum(map(len, wanted.values())) + len(reference)
        done: dict[str, list[JobResult]] = {}
        failures: list[str] = []
        for name, batches in wanted.items():
            try:
                done[name] = yield from _all(plan, batches, context, log)
            except RunFailed as error:
                failures.append(f"{name} is left out, its run failed: {' '.join(str(error).split())[:300]}")
                log.append(failures[-1])
            _count(run, folder, [*wanted.values(), reference], total)
        if not done:
            raise RunFailed(f"no method finished: {failures[0]}")
        real = yield from _all(plan, reference, context, log)
        _count(run, folder, [*wanted.values(), reference], total)
        for classifier in (networks.features, networks.clip, networks.scene_classifier):
            if classifier is not None:
                classifier.to(torch.device(plan.device))
        if plan.likelihood and isinstance(loaded.prior, Pipeline):
            networks = replace(networks, likelihood_prior=loaded.prior)
        table, remarks = yield from measure(plan, done, real, networks)
        missing = (*failures, *remarks)
        findings = summarise(plan, table)
        _write(plan, run, done, table, findings, missing)
    return TextToImageResult(run.path, table, findings, missing)


def summarise(plan: TextToImage, table: MetricTable) -> tuple[str, ...]:
    """What one sees, in sentences that quote the table."""
    entries = {entry.name: entry for entry in plan.entries}
    told = [
        f"{len(plan.prompts)} prompts, {plan.seeds} {'seeds' if plan.seeds > 1 else 'seed'} each: {plan.compared} "
        f"pictures a method. Optimised is {_OPTIMISED[plan.generator]} a picture, by Adam with {_rates(plan)}."
    ]
    columns = {column.key: column for column in table.columns}
    for key in ("right", "truth", "kid", "clip", "log_p"):
        column = columns[key]
        rows = [row for row in table.rows if key in row.values and not row.reference]
        if len(rows) < 2:
            continue
        order = sorted(rows, key=lambda row: row.values[key], reverse=column.best == "high")
        first, second = order[:2]
        apart = _apart(first.values, second.values, key)
        told.append(
            f"Best {column.heading} of the optimised: {entries[first.name].title} with {table.text(first, column)}, "
            f"then {entries[second.name].title} with {table.text(second, column)}"
            + ("." if apart else "; their intervals overlap or are unknown, so this order may be chance.")
        )
    return tuple(told)


def _rates(plan: TextToImage) -> str:
    """Of all that are optimised: one, or who has which."""
    who: dict[float, list[str]] = {}
    for entry in plan.entries:
        if entry.method is not None:
            who.setdefault(entry.lr, []).append(entry.title)
    if len(who) == 1:
        return f"rate {next(iter(who)):g}"
    return "rates " + " and ".join(f"{rate:g} ({' / '.join(titles)})" for rate, titles in sorted(who.items()))


def _apart(a: dict[str, float], b: dict[str, float], key: str) -> bool:
    if f"{key}_low" not in a or f"{key}_low" not in b:
        return False
    return a[f"{key}_high"] < b[f"{key}_low"] or b[f"{key}_high"] < a[f"{key}_low"]


def _all(
    plan: TextToImage, batches: Sequence[ImageBatch], context: TextToImageJobContext, log: LineFile
) -> Generator[Progress, None, list[JobResult]]:
    """All jobs of one player, those done before included."""
    done = []
    for batch in batches:
        fresh = finished_job(context.folder, batch) is None
        for_all = run_job(plan, batch, context)
        while True:
            try:
                now = next(for_all)
            except StopIteration as end:
                done.append(end.value)
                break
            yield replace(now, stage=batch.name)
        if fresh:
            log.append(f"{batch.name}: {len(batch.items)} pictures, {done[-1].calls} calls, {done[-1].seconds:.1f} s")
    return done


def _count(run: Run, folder: Path, wanted: Sequence[Sequence[ImageBatch]], total: int) -> None:
    """Jobs done and calls spent, in the status."""
    done = [job for batches in wanted for batch in batches if (job := finished_job(folder, batch)) is not None]
    calls = sum(job.calls for job in done)
    replace(run.status, step=len(done), steps=total, calls=calls).write(run.path)


def _write(
    plan: TextToImage,
    run: Run,
    done: dict[str, list[JobResult]],
    table: MetricTable,
    findings: Sequence[str],
    missing: Sequence[str],
) -> None:
    for jobs in done.values():
        export_images(jobs, run.path / "exports")
    sheet = draw_sheet(plan.prompts, done, {entry.name: entry.title for entry in plan.entries})
    write_atomic(run.path / "media" / "sheet.png", sheet)
    facts = {"prompts": list(plan.prompts), "findings": list(findings), "lacking": list(missing)}
    record = RunRecord(f"Text to image under {plan.prior_config.title}", run.command, run.settings)
    write_metrics(run, table)
    write_results(run.path / "exports", record, table, facts)
    told = [table.markdown({entry.name: entry.title for entry in plan.entries})]
    write_atomic(run.path / "exports" / "table.md", "\n".join([*told, *(f"- {line}" for line in findings)]) + "\n")
    write_report(run, plan, table, sheet, findings, missing)
