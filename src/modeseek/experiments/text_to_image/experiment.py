"""Text-to-image experiment: runs and measures the jobs of a plan, then writes tables, contact sheet and report."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

import torch

from modeseek.experiments.text_to_image.jobs import BatchResult, ImageJob
from modeseek.experiments.text_to_image.measure import measure
from modeseek.experiments.text_to_image.metrics import METRICS, EntryImages, MetricNetworks
from modeseek.experiments.text_to_image.plan import OPTIMISED, REFERENCE, TextToImage
from modeseek.experiments.text_to_image.report import write_report
from modeseek.io.atomic import write_atomic
from modeseek.io.images import read_images
from modeseek.io.progress import Progress
from modeseek.reports.contact_sheet import ContactSheet, Tile, tile_side
from modeseek.reports.metric import Metric
from modeseek.reports.results_files import ExperimentResult, write_experiment
from modeseek.reports.table import Table
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed
from modeseek.runs.jobs import JobContext, PriorCache, run_jobs
from modeseek.runs.session import run_session

JOBS = "jobs"
_SEEDS = 3  # maximum number of seeds side by side on the contact sheet


def run_text_to_image(
    plan: TextToImage,
    run: Run,
    priors: PriorCache,
    networks: MetricNetworks,
    metrics: Sequence[Metric[EntryImages]] = METRICS,
) -> Generator[Progress, None, ExperimentResult]:
    """Runs all unfinished jobs, then measures them and writes the results.

    An entry with a failed job is left out of the table and listed; the job is retried in the next session.

    Args:
        plan: the plan.
        run: run folder of the experiment.
        priors: cache of loaded priors.
        networks: networks of the metrics.
        metrics: metrics to evaluate, in the order of the table.

    Raises:
        modeseek.runs.interrupts.RunInterrupted: stopped on request; the next call resumes.
        modeseek.runs.interrupts.RunFailed: no entry finished.
        ValueError: the settings conflict, or another process holds the folder.
    """
    with run_session(run, resumable=True) as log:
        context = JobContext(run.path / JOBS, priors, shlex.split(run.command))
        batches = [batch for entry in plan.entries for batch in plan.batches(entry)]
        batches += plan.references() if networks.features is not None else []
        results, failures = yield from run_jobs(run, [ImageJob(plan, batch, context) for batch in batches], log)
        reference = results.pop(REFERENCE, [])
        if not results:
            raise RunFailed(f"no method finished: {failures[0]}")
        for network in (networks.features, networks.clip, networks.scene_classifier):
            if network is not None:
                network.to(torch.device(plan.device))
        if plan.likelihood:
            networks = replace(networks, likelihood_prior=priors.pipeline(plan.prior_config))
        table, remarks = yield from measure(plan, results, reference, networks, metrics)
        titles = {entry.name: entry.title for entry in plan.entries}
        result = ExperimentResult(run.path, table, summarise(plan, table, metrics), titles, (*failures, *remarks))
        _write(plan, run, results, result)
    return result


def summarise(plan: TextToImage, table: Table, metrics: Sequence[Metric[EntryImages]]) -> tuple[str, ...]:
    """Summary of the table, a sentence each."""
    titles = {entry.name: entry.title for entry in plan.entries}
    lines = [
        f"{len(plan.prompts)} prompts, {plan.seeds} {'seeds' if plan.seeds > 1 else 'seed'} each: {plan.compared} "
        f"images per method. Each image is {OPTIMISED[plan.generator]}, optimised by Adam at learning {_rates(plan)}."
    ]
    for metric in (metric for metric in metrics if metric.summarised):
        rows = [row for row in table.rows if metric.key in row.values and not row.reference]
        if len(rows) < 2:
            continue
        order = sorted(rows, key=lambda row: row.values[metric.key], reverse=metric.best == "high")
        first, second = order[:2]
        separate = _disjoint(first.values, second.values, metric.key)
        lines.append(
            f"Best {metric.heading} of the optimised images: {titles[first.name]} with "
            f"{table.text(first, metric)}, then {titles[second.name]} with {table.text(second, metric)}"
            + ("." if separate else "; their intervals overlap or are unknown, so this order may be chance.")
        )
    return tuple(lines)


def _rates(plan: TextToImage) -> str:
    """Learning rate of all optimised entries, or the entries of each rate."""
    by_rate: dict[float, list[str]] = {}
    for entry in plan.entries:
        if entry.make is not None:
            by_rate.setdefault(entry.lr, []).append(entry.title)
    if len(by_rate) == 1:
        return f"rate {next(iter(by_rate)):g}"
    return "rates " + " and ".join(f"{rate:g} ({' / '.join(titles)})" for rate, titles in sorted(by_rate.items()))


def _disjoint(a: Mapping[str, float], b: Mapping[str, float], key: str) -> bool:
    if f"{key}_low" not in a or f"{key}_low" not in b:
        return False
    return a[f"{key}_high"] < b[f"{key}_low"] or b[f"{key}_high"] < a[f"{key}_low"]


def _write(plan: TextToImage, run: Run, results: Mapping[str, list[BatchResult]], result: ExperimentResult) -> None:
    for jobs in results.values():
        for job in jobs:
            for path, (prompt, seed) in zip(job.images, job.batch.items, strict=True):
                file = f"{job.batch.entry.name}-prompt{prompt:02d}-seed{seed}.png"
                write_atomic(run.path / "exports" / file, path.read_bytes())
    sheet = _contact_sheet(plan, results, result.titles).png()
    write_atomic(run.path / "media" / "sheet.png", sheet)
    title = f"Text to image under {plan.prior_config.title}"
    write_experiment(run, title, result, {"prompts": list(plan.prompts)})
    write_report(run, plan, result.table, sheet, result.findings, result.missing)


def _contact_sheet(
    plan: TextToImage, results: Mapping[str, Sequence[BatchResult]], titles: Mapping[str, str]
) -> ContactSheet:
    """Contact sheet: prompts down, methods across, up to three seeds of each side by side."""
    seeds = min(_SEEDS, plan.seeds)
    columns = [
        {item: path for job in jobs for item, path in zip(job.batch.items, job.images, strict=True)}
        for jobs in results.values()
    ]
    return ContactSheet(
        (
            (
                [Tile(image) for image in read_images([files[prompt, seed] for seed in range(seeds)])]
                for files in columns
            )
            for prompt in range(len(plan.prompts))
        ),
        [titles[name] for name in results],
        plan.prompts,
        side=tile_side(seeds * len(columns)),
        across=seeds,
        font=22,
        label_width=270,
    )
