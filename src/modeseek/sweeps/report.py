"""HTML report of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from markupsafe import Markup

from modeseek.reports.compare_page import CURVES, draw_curves, legend, unequal_calls
from modeseek.reports.method_notes import citation_keys
from modeseek.reports.results_page import ImageSection, ResultsPage, TableSection, write_results_page
from modeseek.reports.run_page import duration
from modeseek.reports.table import Table
from modeseek.rundir.run_dir import Run
from modeseek.sweeps.results import SweepResult

_MAX_CHARTS = 6  # settings whose curves are drawn
_MAX_SHEET_BYTES = 4 * 2**20  # of a contact sheet inlined in the page
_SHEET = "One row per setting, one column per method, seeds side by side; last preview of each job."


def write_sweep_page(
    run: Run, results: Sequence[SweepResult], table: Table, sheet: bytes | None, caveats: Sequence[str]
) -> None:
    """Writes `report.html`: metrics, contact sheet, curves, caveats, all jobs, configuration, sources.

    Args:
        run: folder of the sweep.
        results: results of all jobs.
        table: summary table, one row per setting and method.
        sheet: PNG of the contact sheet; None without any preview.
        caveats: missing results and limits of the comparison, a sentence each.
    """
    n_finished = sum(result.state == "finished" for result in results)
    specs = [result.job_dir.spec for result in results]
    methods = list(dict.fromkeys(spec.method for spec in specs))
    settings, seeds = {spec.labels for spec in specs}, {spec.config.seed for spec in specs}
    counts = [(len(settings), "setting"), (len(methods), "method"), (len(seeds), "seed")]
    counted = ", ".join(f"{n} {noun}{'s' * (n != 1)}" for n, noun in counts)
    lead = (
        f"{n_finished} of {len(results)} jobs finished: {counted}; "
        f"{_sum(results, 'calls'):,.0f} prior calls in {duration(_sum(results, 'seconds'))} of optimisation."
    )
    page = ResultsPage(
        title=f"Sweep {run.path.name}",
        findings=[lead],
        metrics=TableSection("Metrics", table, notes=_notes(table), corner="Setting and method"),
        images=[_sheet(sheet)],
        caveats=caveats,
        note="Finished jobs are not run again; interrupted ones are resumed.",
        sources=[source for spec in specs for source in citation_keys(spec.config)],
    )
    charts, n_omitted = _charts(results, methods)
    write_results_page(
        run,
        page,
        "sweep",
        finished=n_finished == len(results),
        charts=charts,
        legend=legend(methods),
        n_omitted=n_omitted,
        jobs=[(result.job_dir.spec.title, *_cells(result)) for result in results],
    )


def _sum(results: Sequence[SweepResult], key: str) -> float:
    return sum((result.values.get(key, 0.0) for result in results), 0.0)


def _notes(table: Table) -> list[str]:
    deviations = any(key.endswith("_spread") for row in table.rows for key in row.values)
    notes = ["After ±: standard deviation over seeds, of one run, not of the mean."] if deviations else []
    return [*notes, *filter(None, [unequal_calls(table)])]


def _sheet(sheet: bytes | None) -> ImageSection:
    if sheet is None:
        return ImageSection("Images", None, "No job has a preview.")
    if len(sheet) > _MAX_SHEET_BYTES:
        large = f"The sheet has {len(sheet) / 2**20:.1f} MB, too much for this page; open media/sheet.png."
        return ImageSection("Images", None, large)
    return ImageSection("Images", sheet, _SHEET)


def _charts(results: Sequence[SweepResult], methods: Sequence[str]) -> tuple[list[Markup], int]:
    """A chart per metric and setting, a line per method: its first seed that finished; number of settings left out."""
    first: dict[tuple[str, ...], dict[str, SweepResult]] = {}
    for result in results:
        if result.state == "finished":
            first.setdefault(result.job_dir.spec.labels, {}).setdefault(result.job_dir.spec.method, result)
    shown = list(first.items())[:_MAX_CHARTS]
    logged = {labels: {name: Run(job.job_dir.path).metrics for name, job in by.items()} for labels, by in shown}
    charts: list[Markup] = []
    for metric, chart in CURVES.items():
        for labels, rows in logged.items():
            title = " · ".join([*labels, chart.title.lower()])
            charts += draw_curves(replace(chart, title=title[:1].upper() + title[1:]), metric, rows, methods)
    return charts, len(first) - len(shown)


def _cells(result: SweepResult) -> tuple[str, list[str]]:
    """Path of the job's report, empty before its start, and its cells in the table of jobs."""
    status, number = result.status, result.job_dir.spec.id
    if status is None:
        return "", [result.state, *["–"] * 4, number]
    values = [f"{status.step}/{status.steps}", f"{status.calls:,}", f"{status.seconds:,.1f}", str(status.sessions)]
    return f"jobs/{result.job_dir.path.name}/report.html", [result.state, *values, number]
