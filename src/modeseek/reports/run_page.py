"""HTML report of one run: metrics, previews, curves, exports, configuration and environment."""

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
from modeseek.reports.tolerant_reading import n_damaged_lines, observed_state, try_read
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status

Rows = Sequence[Mapping[str, Any]]

_LOG_LINES = 20
_MAX_PENALTIES = 12  # with curves
_CURVES = (  # metric, and its chart without the curve
    ("relative_shift", Chart("Relative shift", "|shift| / (h √d), mean over rows", "step")),
    ("direction_norm", Chart("Direction norm", "|dL/dz|, units of z, mean over rows", "step", smooth=True)),
    ("bandwidth", Chart("Bandwidth", "h, units of z, mean over rows", "step")),
    ("t", Chart("Noise level", "t in [0, 1], mean over rows", "step", smooth=True)),
    ("calls", Chart("Prior calls", "total so far", "step", amount=True)),
    ("memory_mb", Chart("Memory", "peak so far, MB", "step", amount=True)),
)
_STATES = {
    "created": "No step was made yet.",
    "running": "A process is working on this run.",
    "lost": "The process ended without an error message; only the steps since the last checkpoint are lost.",
    "stopped": "Stopped before the last step.",
    "failed": "The run failed.",
    "finished": "",
}


def write_run_page(run: Run) -> Path:
    """Writes `report.html` into the run's folder, atomically, in any state of the run.

    The page is self-contained. A damaged file affects its own section only, which shows the error.

    Raises:
        OSError: the folder cannot be written to.
    """
    config, _ = try_read(lambda: run.config)
    status, damage = try_read(lambda: run.status)
    rows, unread = try_read(lambda: run.metrics)
    previews = read_previews(run.path / "previews")
    title = run.path.name if config is None else config.title
    body = [
        _header(run, title, status, damage),
        section("Key metrics", _key_metrics(status, rows or [])),
        section("Before and after", before_after(previews)),
        tolerant_section("3D object", lambda: object_section(run.path, title)),
        section("Intermediate previews", strip(previews)),
        tolerant_section(
            "Video", lambda: media_figure(run.path / "media" / "optimisation.gif", "Previews over the whole run")
        ),
        section("Curves", alarm(unread) if rows is None else _curves(run, config, rows)),
        tolerant_section("Configuration", lambda: _configuration(run)),
        tolerant_section("Command", lambda: code(run.command)),
        section("Resume", _resume(run, status)),
        tolerant_section("Exported files", lambda: _exports(run)),
        tolerant_section("Environment", lambda: _environment(run)),
        tolerant_section("Log", lambda: _log(run)),
        "" if config is None else sources(citation_keys(config)),
    ]
    path = run.path / "report.html"
    write_atomic(path, page(title, body, scripts(run.path, SCRIPT)))
    return path


def duration(seconds: float) -> str:
    """A duration in seconds as readable text, such as 1 min 01 s."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _header(run: Run, title: str, status: Status | None, damage: str) -> str:
    top = f"<header><p class='kicker'>modeseek</p><h1>{safe(title)}</h1>"
    if status is None:
        return f"{top}{alarm(damage)}</header>"
    state = observed_state(run, status)
    reason = str(status.reason) or _STATES[state]
    dates = f"{run.path.name}, started {status.started}, last updated {status.updated}"
    return (
        f"{top}<p class='lead'><span class='state {state}'>{state}</span> {safe(reason)}</p>"
        f"<p class='small'>{safe(dates)}</p></header>"
    )


def _key_metrics(status: Status | None, rows: Rows) -> str:
    last = rows[-1] if rows else {}
    metrics: list[tuple[str, str]] = []
    if status is not None:
        metrics.append(("steps", f"{status.step:,} of {status.steps:,}"))
        metrics.append(("prior calls", f"{status.calls:,}"))
        seconds = finite_number(status.seconds)
        metrics += [] if seconds is None else [("time", duration(seconds))]
        metrics += _megabytes("peak memory", status.peak_memory_mb)
        metrics += _megabytes("peak device memory", status.peak_device_memory_mb)
        metrics += [("sessions", str(status.sessions))] if status.sessions > 1 else []
        metrics += [("rollbacks", str(status.rollbacks))] if status.rollbacks else []
    for key, name in (("relative_shift", "final relative shift"), ("bandwidth", "final bandwidth")):
        value = finite_number(last.get(key))
        metrics += [] if value is None else [(name, f"{value:.3g}")]
    tiles = "".join(f"<div><dt>{safe(name)}</dt><dd>{safe(value)}</dd></div>" for name, value in metrics)
    return f"<dl class='tiles'>{tiles}</dl>" if tiles else ""


def _megabytes(name: str, megabytes: object) -> list[tuple[str, str]]:
    value = finite_number(megabytes)
    if not value:
        return []
    return [(name, f"{value:.0f} MB" if value < 1000 else f"{value / 1024:.2f} GB")]


def _curves(run: Run, config: Config | None, rows: Rows) -> str:
    penalties = sorted({key for row in rows for key in row if key.startswith("loss_")})
    penalty_charts = [
        (key, Chart(f"Penalty {key[5:65]}", "value", "step", smooth=True)) for key in penalties[:_MAX_PENALTIES]
    ]
    charts: list[str] = []
    for key, chart in (*_CURVES, *penalty_charts):
        curve = read_curve(rows, "step", key)
        if curve is not None:
            level = tolerance_level(config) if key == "relative_shift" else None
            charts.append(draw_chart(replace(chart, lines=(curve,), level=level)))
    notes = hint(watch_note(config))
    if lost := n_damaged_lines(run, rows):
        notes += alarm(f"{lost} of the lines of metrics.jsonl {'is' if lost == 1 else 'are'} damaged and left out")
    if len(penalties) > _MAX_PENALTIES:
        notes += small(f"{len(penalties) - _MAX_PENALTIES} further penalties are in metrics.jsonl.")
    return notes + (f"<div class='curves'>{''.join(charts)}</div>" if charts else small("No step was made yet."))


def _configuration(run: Run) -> str:
    path = run.path / "config.yaml"
    text = path.read_text(encoding="utf-8", errors="replace")
    _, damage = try_read(lambda: run.config)
    return (alarm(damage) if damage else "") + details("config.yaml: all values", code(text[:100_000]))


def _resume(run: Run, status: Status | None) -> str:
    if status is None:
        return ""
    state, command = observed_state(run, status), f"modeseek resume {shlex.quote(str(run.path))}"
    if state == "finished":
        return small("The run is finished. To continue to twice as many steps:") + code(
            f"{command} --steps {2 * status.steps}"
        )
    if state == "running":
        return small("A process is working on this run; once it has ended:") + code(command)
    note = (
        "No checkpoint was written yet: the run restarts at the first step."
        if status.checkpoint is None
        else f"The run resumes from its newest valid checkpoint; the last was written after step {status.checkpoint}."
    )
    return code(command) + small(note)


def _exports(run: Run) -> str:
    paths = sorted(path for name in ("exports", "media") for path in (run.path / name).glob("[!.]*") if path.is_file())
    sizes = [(path.relative_to(run.path).as_posix(), f"{path.stat().st_size / 1000:,.1f} kB") for path in paths]
    return terms(sizes, tight=True) if sizes else ""


def _environment(run: Run) -> str:
    environment = run.environment
    groups = {name: value if isinstance(value, dict) else {name: value} for name, value in environment.items()}
    return "<div class='groups'>" + "".join(map(_group, groups, groups.values())) + "</div>" if environment else ""


def _group(name: str, values: Mapping[str, Any]) -> str:
    entries = terms(((key, format_setting(value)) for key, value in flatten(values).items()), tight=True)
    return f"<div><h3>{safe(name)}</h3>{entries}</div>"


def _log(run: Run) -> str:
    lines = run.log
    if not lines:
        return ""
    note = small(f"The last {_LOG_LINES} of {len(lines)} lines.") if len(lines) > _LOG_LINES else ""
    return note + code("\n".join(text[:1000] for text in lines[-_LOG_LINES:]))
