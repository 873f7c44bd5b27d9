"""Text-to-image experiment: runs and measures the jobs of a plan, then writes tables, contact sheet and report."""

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
    """Result of the text-to-image experiment.

    Attributes:
        folder: run folder.
        table: metrics, a row per entry.
        findings: summary of the table, a sentence each.
        missing: missing results and caveats, a sentence each.
    """

    folder: Path
    table: MetricTable
    findings: tuple[str, ...]
    missing: tuple[str, ...]


def run_text_to_image(
    plan: TextToImage, run: Run, loaded: LoadedPrior, networks: MetricNetworks
) -> Generator[Progress, None, TextToImageResult]:
    """Runs all unfinished jobs, then measures them and writes the results.

    An entry with a failed job is left out of the table and listed; the job is retried in the next session.

    Args:
        plan: the plan.
        run: run folder of the experiment.
        loaded: the loaded pipeline.
        networks: networks of the metrics.

    Raises:
        modeseek.runs.interrupts.RunInterrupted: stopped on request; the next call resumes.
        modeseek.runs.interrupts.RunFailed: no entry finished.
        ValueError: the settings conflict, or another process holds the folder.
    """
    with experiment_session(run) as log:
        folder = run.path / JOBS
        folder.mkdir(exist_ok=True)
        context = TextToImageJobContext(folder, loaded, shlex.split(run.command))
        batches = {entry.name: plan.batches(entry) for entry in plan.entries}
        reference = plan.references(ENTRIES["ddim"]) if networks.features is not None else []
        total = sum(map(len, batches.values())) + len(reference)
        results: dict[str, list[JobResult]] = {}
        failures: list[str] = []
        for name, entry_batches in batches.items():
            try:
                results[name] = yield from _run_all(plan, entry_batches, context, log)
            except RunFailed as error:
                failures.append(f"{name} is left out, its run failed: {' '.join(str(error).split())[:300]}")
                log.append(failures[-1])
            _count(run, folder, [*batches.values(), reference], total)
        if not results:
            raise RunFailed(f"no method finished: {failures[0]}")
        real = yield from _run_all(plan, reference, context, log)
        _count(run, folder, [*batches.values(), reference], total)
        for network in (networks.features, networks.clip, networks.scene_classifier):
            if network is not None:
                network.to(torch.device(plan.device))
        if plan.likelihood and isinstance(loaded.prior, Pipeline):
            networks = replace(networks, likelihood_prior=loaded.prior)
        table, remarks = yield from measure(plan, results, real, networks)
        missing = (*failures, *remarks)
        findings = summarise(plan, table)
        _write(plan, run, results, table, findings, missing)
    return TextToImageResult(run.path, table, findings, missing)


def summarise(plan: TextToImage, table: MetricTable) -> tuple[str, ...]:
    """Summary of the table, a sentence each."""
    entries = {entry.name: entry for entry in plan.entries}
    lines = [
        f"{len(plan.prompts)} prompts, {plan.seeds} {'seeds' if plan.seeds > 1 else 'seed'} each: {plan.compared} "
        f"images per method. Each image is {_OPTIMISED[plan.generator]}, optimised by Adam at learning {_rates(plan)}."
    ]
    columns = {column.key: column for column in table.columns}
    for key in ("right", "truth", "kid", "clip", "log_p"):
        column = columns[key]
        rows = [row for row in table.rows if key in row.values and not row.reference]
        if len(rows) < 2:
            continue
        order = sorted(rows, key=lambda row: row.values[key], reverse=column.best == "high")
        first, second = order[:2]
        separate = _disjoint(first.values, second.values, key)
        lines.append(
            f"Best {column.heading} of the optimised images: {entries[first.name].title} with "
            f"{table.text(first, column)}, then {entries[second.name].title} with {table.text(second, column)}"
            + ("." if separate else "; their intervals overlap or are unknown, so this order may be chance.")
        )
    return tuple(lines)


def _rates(plan: TextToImage) -> str:
    """Learning rate of all optimised entries, or the entries of each rate."""
    by_rate: dict[float, list[str]] = {}
    for entry in plan.entries:
        if entry.method is not None:
            by_rate.setdefault(entry.lr, []).append(entry.title)
    if len(by_rate) == 1:
        return f"rate {next(iter(by_rate)):g}"
    return "rates " + " and ".join(f"{rate:g} ({' / '.join(titles)})" for rate, titles in sorted(by_rate.items()))


def _disjoint(a: dict[str, float], b: dict[str, float], key: str) -> bool:
    if f"{key}_low" not in a or f"{key}_low" not in b:
        return False
    return a[f"{key}_high"] < b[f"{key}_low"] or b[f"{key}_high"] < a[f"{key}_low"]


def _run_all(
    plan: TextToImage, batches: Sequence[ImageBatch], context: TextToImageJobContext, log: LineFile
) -> Generator[Progress, None, list[JobResult]]:
    """Runs the unfinished jobs of one entry; the results of all of them."""
    results = []
    for batch in batches:
        fresh = finished_job(context.folder, batch) is None
        steps = run_job(plan, batch, context)
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                results.append(end.value)
                break
            yield replace(progress, stage=batch.name)
        if fresh:
            log.append(
                f"{batch.name}: {len(batch.items)} images, {results[-1].calls} calls, {results[-1].seconds:.1f} s"
            )
    return results


def _count(run: Run, folder: Path, batches: Sequence[Sequence[ImageBatch]], total: int) -> None:
    """Writes the numbers of finished jobs and of prior calls to the status."""
    finished = [job for group in batches for batch in group if (job := finished_job(folder, batch)) is not None]
    calls = sum(job.calls for job in finished)
    replace(run.status, step=len(finished), steps=total, calls=calls).write(run.path)


def _write(
    plan: TextToImage,
    run: Run,
    results: dict[str, list[JobResult]],
    table: MetricTable,
    findings: Sequence[str],
    missing: Sequence[str],
) -> None:
    for jobs in results.values():
        export_images(jobs, run.path / "exports")
    sheet = draw_sheet(plan.prompts, results, {entry.name: entry.title for entry in plan.entries})
    write_atomic(run.path / "media" / "sheet.png", sheet)
    facts = {"prompts": list(plan.prompts), "findings": list(findings), "lacking": list(missing)}
    record = RunRecord(f"Text to image under {plan.prior_config.title}", run.command, run.settings)
    write_metrics(run, table)
    write_results(run.path / "exports", record, table, facts)
    tables = [table.markdown({entry.name: entry.title for entry in plan.entries})]
    write_atomic(run.path / "exports" / "table.md", "\n".join([*tables, *(f"- {line}" for line in findings)]) + "\n")
    write_report(run, plan, table, sheet, findings, missing)
