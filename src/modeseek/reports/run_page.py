"""HTML report of one run: the result, metrics, previews, curves, files, configuration and environment."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from modeseek.config.config import Config
from modeseek.io.atomic import write_atomic
from modeseek.io.remarks import LOGGED
from modeseek.reports.curves import Chart, draw_chart, finite_number, read_curve
from modeseek.reports.drawings import read_drawings
from modeseek.reports.edits import read_edits
from modeseek.reports.headline import headline, subtitle
from modeseek.reports.mesh_section import read_object, scripts
from modeseek.reports.method_notes import citation_keys, tolerance_level, watch_note
from modeseek.reports.page import render_page
from modeseek.reports.preview_images import read_film, read_previews
from modeseek.reports.result_images import read_images
from modeseek.reports.run_files import list_downloads, list_files
from modeseek.reports.settings_diff import flatten, format_setting
from modeseek.reports.still_moving import still_moving
from modeseek.reports.terms import explanation
from modeseek.reports.tolerant_reading import damaged_lines, observed_state, try_read
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status

Rows = Sequence[Mapping[str, Any]]

_LOG_LINES = 20
_MAX_PENALTIES = 12  # with curves
_FOLDED = ("calls", "memory_mb")  # metrics whose charts are folded
_REMARK = re.compile(rf"^\S+ {LOGGED}(.+)$")
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


@dataclass(frozen=True)
class Curves:
    """Content of the section of curves.

    Attributes:
        charts: drawn charts.
        folded: further charts, of costs.
        warnings: a line for what is damaged.
        n_omitted: number of penalties without a chart.
    """

    charts: list[Markup]
    folded: list[Markup]
    warnings: list[str]
    n_omitted: int


def write_run_page(run: Run) -> Path:
    """Writes `report.html` into the run's folder, atomically, in any state of the run.

    The page is self-contained. A damaged file affects its own section only, which shows the error.
    """
    config, config_damage = try_read(lambda: run.config)
    status, damage = try_read(lambda: run.status)
    title = run.path.name if config is None else headline(config)
    rows, unread = try_read(lambda: run.metrics)
    state = None if status is None else observed_state(run, status)
    page = render_page(
        "run",
        title=title,
        subtitle="" if config is None else subtitle(config),
        script=scripts(run.path),
        folder=run.path.name,
        status=status,
        damage=damage,
        state=state,
        reason=None if status is None else str(status.reason) or _STATES[str(state)],
        remarks=try_read(lambda: _remarks(run))[0] or [],  # a log that cannot be read says so in its own section
        moving=still_moving(config, rows or []) if config is not None and state == "finished" else "",
        key_metrics=_key_metrics(status, rows or []),
        explanation=explanation,
        drawings=try_read(lambda: read_drawings(run.path)),
        edits=try_read(lambda: read_edits(run.path)),
        images=try_read(lambda: read_images(run.path, () if config is None else config.prompts)),
        downloads=try_read(lambda: list_downloads(run.path)),
        previews=read_previews(run.path / "previews"),
        shape=try_read(lambda: read_object(run.path, title)),
        video=try_read(lambda: read_film(run.path / "media", "optimisation")),
        curves=(None, unread) if rows is None else try_read(lambda: _curves(run, config, rows)),
        watch=watch_note(config),
        configuration=try_read(lambda: (run.path / "config.yaml").read_text(encoding="utf-8", errors="replace")),
        config_damage=config_damage,
        command=try_read(lambda: run.command),
        resume=f"modeseek resume {shlex.quote(str(run.path))}",
        files=try_read(lambda: list_files(run.path)),
        environment=try_read(lambda: _environment(run)),
        log=try_read(lambda: [line[:1000] for line in run.log]),
        n_log_lines=_LOG_LINES,
        sources=[] if config is None else citation_keys(config),
    )
    path = run.path / "report.html"
    write_atomic(path, page)
    return path


def duration(seconds: float) -> str:
    """A duration in seconds as readable text, such as 1 min 01 s."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _key_metrics(status: Status | None, rows: Rows) -> list[tuple[str, str]]:
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
    return metrics


def _megabytes(name: str, megabytes: object) -> list[tuple[str, str]]:
    value = finite_number(megabytes)
    if not value:
        return []
    return [(name, f"{value:.0f} MB" if value < 1000 else f"{value / 1024:.2f} GB")]


def _curves(run: Run, config: Config | None, rows: Rows) -> Curves:
    penalties = sorted({key for row in rows for key in row if key.startswith("loss_")})
    penalty_charts = [
        (key, Chart(f"Penalty {key[5:65]}", "value", "step", smooth=True)) for key in penalties[:_MAX_PENALTIES]
    ]
    charts: list[Markup] = []
    folded: list[Markup] = []
    for key, chart in (*_CURVES, *penalty_charts):
        curve = read_curve(rows, "step", key)
        if curve is not None:
            level = tolerance_level(config) if key == "relative_shift" else None
            drawn = draw_chart(replace(chart, lines=(curve,), level=level, meaning=explanation(chart.title)))
            (folded if key in _FOLDED else charts).append(drawn)
    return Curves(charts, folded, damaged_lines(run, rows), max(0, len(penalties) - _MAX_PENALTIES))


def _remarks(run: Run) -> list[str]:
    """Remarks in the log, each once."""
    found = [match[1] for line in run.log if (match := _REMARK.match(line))]
    return list(dict.fromkeys(found))


def _environment(run: Run) -> dict[str, list[tuple[str, str]]]:
    """Names and values of each group."""
    groups = {name: values if isinstance(values, dict) else {name: values} for name, values in run.environment.items()}
    return {
        name: [(key, format_setting(value)) for key, value in flatten(values).items()]
        for name, values in groups.items()
    }
