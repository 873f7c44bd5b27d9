"""The report of the experiment: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from modeseek.experiments.common.metric_table import MetricTable, html_table, used_columns
from modeseek.experiments.text_to_image.plan import TextToImage
from modeseek.io.atomic import write_atomic
from modeseek.reports.html import alarm, code, data_uri, details, hint, page, safe, section, small, sources, terms
from modeseek.rundir.environment import describe_machine, package_versions
from modeseek.rundir.run_dir import Run

_ALIKE = "Intervals hold 95 % of the values that resampled pictures give (prompts for CLIP), about the estimate."


def write_report(
    run: Run, plan: TextToImage, table: MetricTable, sheet: bytes, findings: Sequence[str], missing: Sequence[str]
) -> None:
    """Writes `report.html`: numbers, pictures, what is lacking, costs, methods, settings, sources.

    Args:
        run: in whose folder.
        plan: what was done.
        table: its numbers.
        sheet: PNG.
        findings: what one sees, a sentence each.
        lacking: what could not be measured or made, a sentence each.
    """
    title = f"Text to image under {plan.prior_config.title}"
    figure = f"<figure><img src='{data_uri(sheet, 'image/png')}' alt='a row a prompt, a column a method'></figure>"
    parts = [
        f"<header><p class='kicker'>modeseek</p><h1>{safe(title)}</h1>",
        *(f"<p class='lead'>{safe(text)}</p>" for text in findings),
        "</header>",
        section("What is lacking, and what to beware of", *map(alarm, missing)),
        _numbers(plan, table),
        section("Pictures", hint(_look(plan)), figure),
        section("Costs", _costs(plan, table)),
        section("Methods", _methods(plan)),
        section("Prompts", "<ol>" + "".join(f"<li>{safe(prompt)}</li>" for prompt in plan.prompts) + "</ol>"),
        section("Configuration", code((run.path / "config.yaml").read_text(encoding="utf-8"))),
        section("Run it again", code(run.command), small(_made())),
        sources(_cites(plan, table)),
    ]
    write_atomic(run.path / "report.html", page(title, parts))


def _numbers(plan: TextToImage, table: MetricTable) -> str:
    table_html = html_table(table, {entry.name: entry.title for entry in plan.entries})
    return section(
        "Numbers",
        f"<div class='scroll'>{table_html}</div>",
        small(f"↓ lower is better, ↑ higher is better; bold: best of the optimised. DDIM is the reference. {_ALIKE}"),
        details("What the columns mean", terms((c.heading, c.meaning) for c in used_columns(table))),
    )


def _look(plan: TextToImage) -> str:
    side = f", {min(3, plan.seeds)} seeds side by side" if plan.seeds > 1 else ""
    return (
        f"A row a prompt, a column a method{side}. Seek glaring colours, blur, and pictures of one prompt that all "
        "look alike: seeking modes has its price in diversity."
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
        told = "".join(f"<td>{cell}</td>" for cell in [scale, *cells])
        body += f"<tr><th scope='row'>{safe(entry.title)}</th>{told}</tr>"
    head = "".join(
        f"<th>{name}</th>"
        for name in (
            "Method",
            "Guidance",
            "Steps",
            "Calls a step",
            "Calls before",
            "Calls a picture",
            "Seconds a picture",
        )
    )
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>" + small(
        "A prior call is one evaluation of the network for one picture; guided answers are two. Seconds are a "
        "picture's share of its batch."
    )


def _methods(plan: TextToImage) -> str:
    items = "".join(
        f"<dt>{safe(entry.title)} <code>{safe(entry.name)}</code></dt><dd>{safe(entry.note)}</dd>"
        for entry in plan.entries
    )
    return f"<dl>{items}</dl>"


def _made() -> str:
    here = describe_machine()
    made = ", ".join(f"{name} {number}" for name, number in package_versions().items())
    return (
        f"With the same --out it goes on where it stopped, and measures again. {made}; {here['system']} "
        f"{here['architecture']}, {here['cores']} cores."
    )


def _cites(plan: TextToImage, table: MetricTable) -> list[str]:
    measured = {key for row in table.rows for key in row.values}
    keys = ["msd", *(key for entry in plan.entries for key in entry.references)]
    keys += [key for key in ("fid", "kid", "clip") if key in measured]
    if any(scale != 1 for scale in plan.scales.values()):
        keys.append("guidance")
    return keys + (["fourier-features"] if plan.generator == "field" else [])
