"""The report of a sweep: one HTML file that needs nothing else."""

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

_CHARTS = 6  # settings whose curves are drawn
_LARGEST = 4 * 2**20  # bytes of a sheet within the page
_MEASURES = (
    ("relative_shift", Chart("", "|shift| / (h √d), mean over rows", "prior calls", smooth=True)),
    ("direction_norm", Chart("", "|dL/dz|, units of z, mean over rows", "prior calls", smooth=True)),
)


def write_sweep_page(
    run: Run, results: Sequence[SweepResult], table: Table, sheet: bytes | None, caveats: Sequence[str]
) -> None:
    """Writes `report.html`: numbers, pictures, curves, what is lacking, every job, settings, sources."""
    done = sum(one.state == "finished" for one in results)
    methods = list(dict.fromkeys(one.job_dir.spec.method for one in results))
    title = f"Sweep {run.path.name}"
    settings, seeds = ({one.job_dir.spec.labels for one in results}, {one.job_dir.spec.config.seed for one in results})
    counts = [(len(settings), "setting"), (len(methods), "method"), (len(seeds), "seed")]
    told = [f"{n} {word}{'s' * (n != 1)}" for n, word in counts]
    lead = (
        f"{done} of {len(results)} jobs finished: {', '.join(told)}; "
        f"{_sum(results, 'calls'):,.0f} prior calls in {duration(_sum(results, 'seconds'))} of work."
    )
    kind = "finished" if done == len(results) else "failed"
    word = "finished" if done == len(results) else "not whole"
    body = [
        f"<header><p class='kicker'>modeseek</p><h1>{safe(title)}</h1>"
        f"<p class='lead'><span class='state {kind}'>{word}</span> {safe(lead)}</p></header>",
        section("What is lacking", *map(alarm, caveats)),
        section("Numbers", _numbers(table), *_meaning(table)),
        section("Pictures", _pictures(sheet)),
        section("Curves", _curves(results, methods)),
        section("Job by job", details(f"{len(results)} jobs", _jobs(results))),
        section("Configuration", code((run.path / "config.yaml").read_text(encoding="utf-8"))),
        section("Run it again", code(run.command), small("Finished jobs are kept; interrupted ones go on.")),
        sources(list(dict.fromkeys(source for one in results for source in citation_keys(one.job_dir.spec.config)))),
    ]
    write_atomic(run.path / "report.html", page(title, body))


def _sum(results: Sequence[SweepResult], key: str) -> float:
    return sum((one.values.get(key, 0.0) for one in results), 0.0)


def _numbers(table: Table) -> str:
    shown = [c for c in table.columns if any(c.key in row.values for row in table.rows)]
    arrows = {"low": " ↓", "high": " ↑", "": ""}
    head = "".join(f"<th title='{safe(c.meaning)}'>{safe(c.heading)}{arrows[c.best]}</th>" for c in shown)
    body = ""
    for row in table.rows:
        cells = "".join(f"<td>{safe(table.text(row, column))}</td>" for column in shown)
        body += f"<tr><th scope='row'>{safe(row.name)}</th>{cells}</tr>"
    return _scroll(f"<th>Setting and method</th>{head}", body)


def _meaning(table: Table) -> list[str]:
    told = []
    if any(k.endswith("_spread") for row in table.rows for k in row.values):
        told.append(small("After ±: the standard deviation over seeds, of one run, not of the mean."))
    calls = [row.values["calls"] for row in table.rows if "calls" in row.values]
    if calls and max(calls) > 1.05 * min(calls):
        told.append(
            small(
                f"The rows spent between {min(calls):,.0f} and {max(calls):,.0f} prior calls a job: compare methods at "
                "equal calls, in the curves, rather than at their ends."
            )
        )
    shown = [c for c in table.columns if any(c.key in row.values for row in table.rows)]
    return [*told, details("What the columns mean", terms((c.heading, c.meaning) for c in shown))]


def _pictures(sheet: bytes | None) -> str:
    if sheet is None:
        return small("No job kept a picture.")
    told = "A row a setting, a column a method, the seeds of each side by side; each job's last picture."
    if len(sheet) > _LARGEST:
        return small(f"The sheet has {len(sheet) / 2**20:.1f} MB, too much for this page; open media/sheet.png.")
    image = f"<img src='{data_uri(sheet, 'image/png')}' alt='{safe(told)}'>"
    return f"<figure>{image}<figcaption>{safe(told)}</figcaption></figure>"


def _curves(results: Sequence[SweepResult], methods: Sequence[str]) -> str:
    """A chart for each setting, a line for each method: its first seed that finished."""
    first: dict[tuple[tuple[str, ...], str], SweepResult] = {}
    for one in results:
        if one.state == "finished":
            first.setdefault((one.job_dir.spec.labels, one.job_dir.spec.method), one)
    settings = list(dict.fromkeys(labels for labels, _ in first))
    charts: list[str] = []
    rows = {
        labels: {
            method: Run(first[labels, method].job_dir.path).metrics for method in methods if (labels, method) in first
        }
        for labels in settings[:_CHARTS]
    }
    for measure, chart in _MEASURES:
        charts += [drawn for labels in rows if (drawn := _chart(labels, rows[labels], methods, measure, chart))]
    if not charts:
        return small("No job finished.")
    legend = "".join(f"<li>{legend_key(i)}{safe(method)}</li>" for i, method in enumerate(methods))
    told = hint(
        "None of these is a loss, and norms of different methods do not compare in height: look at where each one goes "
        "flat."
    )
    more = len(settings) - _CHARTS
    left = small(f"{more} more settings are left out; modeseek compare-runs draws any.") if more > 0 else ""
    return f"{told}<ul class='legend'>{legend}</ul><div class='curves pair'>{''.join(charts)}</div>{left}"


def _chart(
    labels: Sequence[str],
    rows: Mapping[str, Sequence[Mapping[str, object]]],
    methods: Sequence[str],
    measure: str,
    chart: Chart,
) -> str:
    found = [(methods.index(method), read_curve(told, "calls", measure, method)) for method, told in rows.items()]
    drawn = [(i, curve) for i, curve in found if curve is not None]
    if not drawn:
        return ""
    colours, lines = zip(*drawn, strict=True)
    name = {"relative_shift": "relative shift", "direction_norm": "direction norm"}[measure]
    title = " · ".join([*labels, name])
    return draw_chart(replace(chart, title=title[:1].upper() + title[1:], lines=lines, colours=colours))


def _jobs(results: Sequence[SweepResult]) -> str:
    body = ""
    for one in results:
        place = f"jobs/{one.job_dir.path.name}/report.html"
        name = (
            f"<a href='{safe(place)}'>{safe(one.job_dir.spec.title)}</a>"
            if one.status
            else safe(one.job_dir.spec.title)
        )
        status = one.status
        cells = (
            ["–"] * 4
            if status is None
            else [f"{status.step}/{status.steps}", f"{status.calls:,}", f"{status.seconds:,.1f}", str(status.sessions)]
        )
        told = "".join(f"<td>{safe(cell)}</td>" for cell in (one.state, *cells, one.job_dir.spec.id))
        body += f"<tr><th scope='row'>{name}</th>{told}</tr>"
    heads = ("Job", "State", "Step", "Prior calls", "Seconds", "Sessions", "Id")
    return _scroll("".join(f"<th>{head}</th>" for head in heads), body)


def _scroll(head: str, body: str) -> str:
    return f"<div class='scroll' tabindex='0'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
