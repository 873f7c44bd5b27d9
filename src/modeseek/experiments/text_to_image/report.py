"""HTML report of the text-to-image experiment, self-contained."""

from __future__ import annotations

from collections.abc import Sequence

from modeseek.experiments.common.metric_table import MetricTable, html_table, used_columns
from modeseek.experiments.common.results_files import environment_line
from modeseek.experiments.text_to_image.plan import TextToImage
from modeseek.io.atomic import write_atomic
from modeseek.reports.html import alarm, code, data_uri, details, hint, page, safe, section, small, sources, terms
from modeseek.rundir.run_dir import Run

_INTERVALS = "Intervals are 95 % bootstrap intervals over images (over prompts for CLIP)."
_RESUME = "To resume, rerun the command with the same --out; all jobs are measured again."


def write_report(
    run: Run, plan: TextToImage, table: MetricTable, sheet: bytes, findings: Sequence[str], missing: Sequence[str]
) -> None:
    """Writes `report.html`: metrics, images, missing results, costs, methods, settings, sources.

    Args:
        run: run folder that receives the report.
        plan: the plan.
        table: metrics, a row per entry.
        sheet: contact sheet, PNG bytes.
        findings: summary of the table, a sentence each.
        missing: missing results and caveats, a sentence each.
    """
    title = f"Text to image under {plan.prior_config.title}"
    figure = f"<figure><img src='{data_uri(sheet, 'image/png')}' alt='a row per prompt, a column per method'></figure>"
    parts = [
        f"<header><p class='kicker'>modeseek</p><h1>{safe(title)}</h1>",
        *(f"<p class='lead'>{safe(text)}</p>" for text in findings),
        "</header>",
        section("Missing results and caveats", *map(alarm, missing)),
        _numbers(plan, table),
        section("Images", hint(_hint(plan)), figure),
        section("Costs", _costs(plan, table)),
        section("Methods", _methods(plan)),
        section("Prompts", "<ol>" + "".join(f"<li>{safe(prompt)}</li>" for prompt in plan.prompts) + "</ol>"),
        section("Configuration", code((run.path / "config.yaml").read_text(encoding="utf-8"))),
        section("Reproduce", code(run.command), small(f"{_RESUME} {environment_line()}")),
        sources(_cites(plan, table)),
    ]
    write_atomic(run.path / "report.html", page(title, parts))


def _numbers(plan: TextToImage, table: MetricTable) -> str:
    table_html = html_table(table, {entry.name: entry.title for entry in plan.entries})
    return section(
        "Metrics",
        f"<div class='scroll'>{table_html}</div>",
        small(f"↓ lower is better, ↑ higher is better; bold: best method. DDIM is the reference. {_INTERVALS}"),
        details("What the columns mean", terms((c.heading, c.meaning) for c in used_columns(table))),
    )


def _hint(plan: TextToImage) -> str:
    side = f", {min(3, plan.seeds)} seeds side by side" if plan.seeds > 1 else ""
    return (
        f"A row per prompt, a column per method{side}. Look for oversaturated colours, blur, and near-identical images "
        "of one prompt: mode seeking costs diversity."
    )


def _costs(plan: TextToImage, table: MetricTable) -> str:
    body = ""
    for entry in plan.entries:
        values = {row.name: row.values for row in table.rows}.get(entry.name)
        if values is None:
            continue
        first, each = plan.calls(entry)
        cells = [plan.steps_of(entry), each, first, f"{values['calls']:.0f}", f"{values['seconds']:.3g}"]
        scale = f"{plan.scales[entry.name]:g}"
        cells_html = "".join(f"<td>{cell}</td>" for cell in [scale, *cells])
        body += f"<tr><th scope='row'>{safe(entry.title)}</th>{cells_html}</tr>"
    heads = ("Method", "Guidance", "Steps", "Calls per step", "Calls before", "Calls per image", "Seconds per image")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>" + small(
        "A prior call is one evaluation of the network for one image; a guided evaluation is two. Seconds are the run "
        "time of a batch divided by its images."
    )


def _methods(plan: TextToImage) -> str:
    items = "".join(
        f"<dt>{safe(entry.title)} <code>{safe(entry.name)}</code></dt><dd>{safe(entry.note)}</dd>"
        for entry in plan.entries
    )
    return f"<dl>{items}</dl>"


def _cites(plan: TextToImage, table: MetricTable) -> list[str]:
    measured = {key for row in table.rows for key in row.values}
    keys = ["msd", *(key for entry in plan.entries for key in entry.references)]
    keys += [key for key in ("fid", "kid", "clip") if key in measured]
    if any(scale != 1 for scale in plan.scales.values()):
        keys.append("guidance")
    return keys + (["fourier-features"] if plan.generator == "field" else [])
