"""HTML report of a sweep, one self-contained file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from modeseek.io.atomic import write_atomic
from modeseek.reports.curves import Chart, draw_chart, legend_key, read_curve
from modeseek.reports.html import alarm, code, data_uri, details, hint, page, safe, section, small, sources, terms
from modeseek.reports.method_notes import citation_keys
from modeseek.reports.run_page import duration
from modeseek.reports.table import Table
from modeseek.rundir.run_dir import Run
from modeseek.sweeps.results import SweepResult

_MAX_CHARTS = 6  # settings whose curves are drawn
_MAX_SHEET_BYTES = 4 * 2**20  # of a contact sheet inlined in the page
_MEASURES = (
    ("relative_shift", Chart("", "|shift| / (h √d), mean over rows", "prior calls", smooth=True)),
    ("direction_norm", Chart("", "|dL/dz|, units of z, mean over rows", "prior calls", smooth=True)),
)


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
    title = f"Sweep {run.path.name}"
    settings, seeds = {spec.labels for spec in specs}, {spec.config.seed for spec in specs}
    counts = [(len(settings), "setting"), (len(methods), "method"), (len(seeds), "seed")]
    counted = ", ".join(f"{n} {noun}{'s' * (n != 1)}" for n, noun in counts)
    lead = (
        f"{n_finished} of {len(results)} jobs finished: {counted}; "
        f"{_sum(results, 'calls'):,.0f} prior calls in {duration(_sum(results, 'seconds'))} of optimisation."
    )
    state, badge = ("finished", "finished") if n_finished == len(results) else ("failed", "incomplete")
    body = [
        f"<header><p class='kicker'>modeseek</p><h1>{safe(title)}</h1>"
        f"<p class='lead'><span class='state {state}'>{badge}</span> {safe(lead)}</p></header>",
        section("Missing results and caveats", *map(alarm, caveats)),
        section("Metrics", _metrics(table), *_legend(table)),
        section("Images", _sheet(sheet)),
        section("Curves", _curves(results, methods)),
        section("Jobs", details(f"{len(results)} jobs", _jobs(results))),
        section("Configuration", code((run.path / "config.yaml").read_text(encoding="utf-8"))),
        section(
            "Reproduce", code(run.command), small("Finished jobs are not run again; interrupted ones are resumed.")
        ),
        sources(list(dict.fromkeys(source for spec in specs for source in citation_keys(spec.config)))),
    ]
    write_atomic(run.path / "report.html", page(title, body))


def _sum(results: Sequence[SweepResult], key: str) -> float:
    return sum((result.values.get(key, 0.0) for result in results), 0.0)


def _metrics(table: Table) -> str:
    shown = [c for c in table.columns if any(c.key in row.values for row in table.rows)]
    arrows = {"low": " ↓", "high": " ↑", "": ""}
    head = "".join(f"<th title='{safe(c.meaning)}'>{safe(c.heading)}{arrows[c.best]}</th>" for c in shown)
    body = ""
    for row in table.rows:
        cells = "".join(f"<td>{safe(table.text(row, column))}</td>" for column in shown)
        body += f"<tr><th scope='row'>{safe(row.name)}</th>{cells}</tr>"
    return _scroll(f"<th>Setting and method</th>{head}", body)


def _legend(table: Table) -> list[str]:
    notes = []
    if any(k.endswith("_spread") for row in table.rows for k in row.values):
        notes.append(small("After ±: standard deviation over seeds, of one run, not of the mean."))
    calls = [row.values["calls"] for row in table.rows if "calls" in row.values]
    if calls and max(calls) > 1.05 * min(calls):
        notes.append(
            small(
                f"The rows spent between {min(calls):,.0f} and {max(calls):,.0f} prior calls a job: compare methods at "
                "equal calls, in the curves, rather than at their ends."
            )
        )
    shown = [c for c in table.columns if any(c.key in row.values for row in table.rows)]
    return [*notes, details("Definitions of the columns", terms((c.heading, c.meaning) for c in shown))]


def _sheet(sheet: bytes | None) -> str:
    if sheet is None:
        return small("No job has a preview.")
    caption = "One row per setting, one column per method, seeds side by side; last preview of each job."
    if len(sheet) > _MAX_SHEET_BYTES:
        return small(f"The sheet has {len(sheet) / 2**20:.1f} MB, too much for this page; open media/sheet.png.")
    image = f"<img src='{data_uri(sheet, 'image/png')}' alt='{safe(caption)}'>"
    return f"<figure>{image}<figcaption>{safe(caption)}</figcaption></figure>"


def _curves(results: Sequence[SweepResult], methods: Sequence[str]) -> str:
    """One chart per setting, one line per method: its first seed that finished."""
    first: dict[tuple[tuple[str, ...], str], SweepResult] = {}
    for result in results:
        if result.state == "finished":
            first.setdefault((result.job_dir.spec.labels, result.job_dir.spec.method), result)
    settings = list(dict.fromkeys(labels for labels, _ in first))
    charts: list[str] = []
    rows = {
        labels: {
            method: Run(first[labels, method].job_dir.path).metrics for method in methods if (labels, method) in first
        }
        for labels in settings[:_MAX_CHARTS]
    }
    for measure, chart in _MEASURES:
        charts += [drawn for labels in rows if (drawn := _chart(labels, rows[labels], methods, measure, chart))]
    if not charts:
        return small("No job finished.")
    legend = "".join(f"<li>{legend_key(i)}{safe(method)}</li>" for i, method in enumerate(methods))
    note = hint(
        "None of these is a loss, and norms of different methods do not compare in height: look at where each one goes "
        "flat."
    )
    n_omitted = len(settings) - _MAX_CHARTS
    omitted = f"{n_omitted} more settings are left out; modeseek compare-runs draws any."
    note_omitted = small(omitted) if n_omitted > 0 else ""
    return f"{note}<ul class='legend'>{legend}</ul><div class='curves pair'>{''.join(charts)}</div>{note_omitted}"


def _chart(
    labels: Sequence[str],
    rows: Mapping[str, Sequence[Mapping[str, object]]],
    methods: Sequence[str],
    measure: str,
    chart: Chart,
) -> str:
    curves = [(methods.index(method), read_curve(table, "calls", measure, method)) for method, table in rows.items()]
    drawn = [(i, curve) for i, curve in curves if curve is not None]
    if not drawn:
        return ""
    colours, lines = zip(*drawn, strict=True)
    name = {"relative_shift": "relative shift", "direction_norm": "direction norm"}[measure]
    title = " · ".join([*labels, name])
    return draw_chart(replace(chart, title=title[:1].upper() + title[1:], lines=lines, colours=colours))


def _jobs(results: Sequence[SweepResult]) -> str:
    body = ""
    for result in results:
        spec, status = result.job_dir.spec, result.status
        url = f"jobs/{result.job_dir.path.name}/report.html"
        name = f"<a href='{safe(url)}'>{safe(spec.title)}</a>" if status else safe(spec.title)
        values = (
            ["–"] * 4
            if status is None
            else [f"{status.step}/{status.steps}", f"{status.calls:,}", f"{status.seconds:,.1f}", str(status.sessions)]
        )
        cells = "".join(f"<td>{safe(cell)}</td>" for cell in (result.state, *values, spec.id))
        body += f"<tr><th scope='row'>{name}</th>{cells}</tr>"
    heads = ("Job", "State", "Step", "Prior calls", "Seconds", "Sessions", "Id")
    return _scroll("".join(f"<th>{head}</th>" for head in heads), body)


def _scroll(head: str, body: str) -> str:
    return f"<div class='scroll' tabindex='0'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
