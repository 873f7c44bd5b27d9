"""The page of one run: what it was, how it went, what came out, and how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modeseek.config.config import Config
from modeseek.io.atomic import write_atomic
from modeseek.reports.curves import Chart, draw_chart, finite_number, read_curve
from modeseek.reports.html import (
    alarm,
    code,
    details,
    hint,
    page,
    safe,
    section,
    small,
    sources,
    terms,
    tolerant_section,
)
from modeseek.reports.mesh_section import object_section, scripts
from modeseek.reports.method_notes import citation_keys, tolerance_level, watch_note
from modeseek.reports.preview_images import SCRIPT, before_after, media_figure, read_previews, strip
from modeseek.reports.settings_diff import flatten, format_setting
from modeseek.reports.tolerant import n_damaged_lines, observed_state, try_read
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status

Rows = Sequence[Mapping[str, Any]]

_LOG_LINES = 20
_LOSSES = 12  # curves of penalties
_CURVES = (  # key, and the chart without its curve
    ("relative_shift", Chart("Relative shift", "|shift| / (h √d), mean over rows", "step")),
    ("direction_norm", Chart("Direction norm", "|dL/dz|, units of z, mean over rows", "step", smooth=True)),
    ("bandwidth", Chart("Bandwidth", "h, units of z, mean over rows", "step")),
    ("t", Chart("Noise level", "t in [0, 1], mean over rows", "step", smooth=True)),
    ("calls", Chart("Prior calls", "calls so far", "step", amount=True)),
    ("memory_mb", Chart("Memory", "most held so far, MB", "step", amount=True)),
)
_STATES = {
    "created": "No step was made yet.",
    "running": "A process is working on it.",
    "lost": "Its process ended without a word; only the steps since the last checkpoint are lost.",
    "stopped": "Stopped before its end.",
    "failed": "It went wrong.",
    "finished": "",
}


def write_run_page(run: Run) -> Path:
    """Writes `report.html` into the run's folder, whole or not at all, whatever state the run is in.

    The page needs nothing beside it. What is damaged in the folder costs its own section only, which says so.

    Raises:
        OSError: the folder cannot be written to.
    """
    config, _ = try_read(lambda: run.config)
    status, damage = try_read(lambda: run.status)
    rows, unread = try_read(lambda: run.metrics)
    pictures = read_previews(run.path / "previews")
    title = run.path.name if config is None else config.title
    body = [
        _header(run, title, status, damage),
        section("Key numbers", _numbers(status, rows or [])),
        section("Before and after", before_after(pictures)),
        tolerant_section("The thing", lambda: object_section(run.path, title)),
        section("On the way", strip(pictures)),
        tolerant_section(
            "The run as a film",
            lambda: media_figure(run.path / "media" / "optimisation.gif", "The run as a moving picture"),
        ),
        section("Curves", alarm(unread) if rows is None else _curves(run, config, rows)),
        tolerant_section("Configuration", lambda: _configuration(run)),
        tolerant_section("Command", lambda: code(run.command)),
        section("Go on", _resume(run, status)),
        tolerant_section("Left in its folder", lambda: _exports(run)),
        tolerant_section("Environment", lambda: _environment(run)),
        tolerant_section("Log", lambda: _log(run)),
        "" if config is None else sources(citation_keys(config)),
    ]
    path = run.path / "report.html"
    write_atomic(path, page(title, body, scripts(run.path, SCRIPT)))
    return path


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _header(run: Run, title: str, status: Status | None, damage: str) -> str:
    top = f"<header><p class='kicker'>modeseek</p><h1>{safe(title)}</h1>"
    if status is None:
        return f"{top}{alarm(damage)}</header>"
    state = observed_state(run, status)
    told = str(status.reason) or _STATES[state]
    dates = f"{run.path.name}, begun {status.started}, last written {status.updated}"
    return (
        f"{top}<p class='lead'><span class='state {state}'>{state}</span> {safe(told)}</p>"
        f"<p class='small'>{safe(dates)}</p></header>"
    )


def _numbers(status: Status | None, rows: Rows) -> str:
    last = rows[-1] if rows else {}
    facts: list[tuple[str, str]] = []
    if status is not None:
        facts.append(("steps", f"{status.step:,} of {status.steps:,}"))
        facts.append(("prior calls", f"{status.calls:,}"))
        seconds = finite_number(status.seconds)
        facts += [] if seconds is None else [("time", duration(seconds))]
        facts += _megabytes("peak memory", status.peak_memory_mb)
        facts += _megabytes("peak device memory", status.peak_device_memory_mb)
        facts += [("sessions", str(status.sessions))] if status.sessions > 1 else []
        facts += [("rollbacks", str(status.rollbacks))] if status.rollbacks else []
    for key, name in (("relative_shift", "final relative shift"), ("bandwidth", "final bandwidth")):
        value = finite_number(last.get(key))
        facts += [] if value is None else [(name, f"{value:.3g}")]
    tiles = "".join(f"<div><dt>{safe(name)}</dt><dd>{safe(value)}</dd></div>" for name, value in facts)
    return f"<dl class='tiles'>{tiles}</dl>" if tiles else ""


def _megabytes(name: str, told: object) -> list[tuple[str, str]]:
    value = finite_number(told)
    if not value:
        return []
    return [(name, f"{value:.0f} MB" if value < 1000 else f"{value / 1024:.2f} GB")]


def _curves(run: Run, config: Config | None, rows: Rows) -> str:
    penalties = sorted({key for row in rows for key in row if key.startswith("loss_")})
    further = [(key, Chart(f"Penalty {key[5:65]}", "value", "step", smooth=True)) for key in penalties[:_LOSSES]]
    charts: list[str] = []
    for key, chart in (*_CURVES, *further):
        curve = read_curve(rows, "step", key)
        if curve is not None:
            mark = tolerance_level(config) if key == "relative_shift" else None
            charts.append(draw_chart(replace(chart, lines=(curve,), level=mark)))
    told = hint(watch_note(config))
    if lost := n_damaged_lines(run, rows):
        told += alarm(f"{lost} of the lines of metrics.jsonl {'is' if lost == 1 else 'are'} damaged and left out")
    if len(penalties) > _LOSSES:
        told += small(f"{len(penalties) - _LOSSES} further penalties are in metrics.jsonl.")
    return told + (f"<div class='curves'>{''.join(charts)}</div>" if charts else small("No step was made yet."))


def _configuration(run: Run) -> str:
    path = run.path / "config.yaml"
    text = path.read_text(encoding="utf-8", errors="replace")
    _, damage = try_read(lambda: run.config)
    return (alarm(damage) if damage else "") + details("config.yaml: every value", code(text[:100_000]))


def _resume(run: Run, status: Status | None) -> str:
    if status is None:
        return ""
    state, again = observed_state(run, status), f"modeseek resume {shlex.quote(str(run.path))}"
    if state == "finished":
        return small("The run is finished. For more steps, here twice as many in all:") + code(
            f"{again} --steps {2 * status.steps}"
        )
    if state == "running":
        return small("A process is working on this run; once it has ended:") + code(again)
    where = (
        "No checkpoint was kept yet: it starts at the first step."
        if status.checkpoint is None
        else f"It goes on from its newest whole checkpoint; the last one was kept after step {status.checkpoint}."
    )
    return code(again) + small(where)


def _exports(run: Run) -> str:
    found = sorted(path for name in ("exports", "media") for path in (run.path / name).glob("[!.]*") if path.is_file())
    sizes = [(path.relative_to(run.path).as_posix(), f"{path.stat().st_size / 1000:,.1f} kB") for path in found]
    return terms(sizes, tight=True) if sizes else ""


def _environment(run: Run) -> str:
    told = run.environment
    groups = {name: value if isinstance(value, dict) else {name: value} for name, value in told.items()}
    return "<div class='groups'>" + "".join(map(_group, groups, groups.values())) + "</div>" if told else ""


def _group(name: str, values: Mapping[str, Any]) -> str:
    return f"<div><h3>{safe(name)}</h3>{terms(((k, format_setting(v)) for k, v in flatten(values).items()), tight=True)}</div>"


def _log(run: Run) -> str:
    lines = run.log
    if not lines:
        return ""
    told = small(f"The last {_LOG_LINES} of {len(lines)} lines.") if len(lines) > _LOG_LINES else ""
    return told + code("\n".join(text[:1000] for text in lines[-_LOG_LINES:]))
