"""Summary of the comparison's tables, a sentence each."""

from __future__ import annotations

from collections.abc import Mapping

from modeseek.experiments.known_density.plan import Benchmark, Contest
from modeseek.reports.table import Row, Table

_FAR = 10.0  # nats of NLL above the best reference at which points have left the data


def summarise(plan: Benchmark, tables: Mapping[Contest, Table], titles: Mapping[str, str]) -> tuple[str, ...]:
    """Sentences on the best method, on what tuning changed, and on methods whose points left the data."""
    lines = []
    places: dict[Contest, str] = {"calls": f"{plan.base.budget:,} prior calls", "steps": f"{plan.steps:,} steps"}
    for contest, where in places.items():
        table = tables.get(contest)
        rows = [] if table is None else [row for row in table.rows if not row.reference]
        if not rows:
            continue
        best = rows[0]
        lines.append(
            f"At {where} per point the lowest NLL is that of {titles[best.name]}, {best.values['nll']:.3f}; true "
            f"samples have a spread of 1, it has {best.values['spread']:.2g}."
        )
        if contest == "calls" and plan.grid is not None:
            lines += _tuning(rows, titles)
        gone = [titles[row.name] for row in rows if row.values["nll"] > best.values["nll"] + _FAR]
        if gone:
            lines.append(f"At {where} the points of {', '.join(gone)} left the data, with the best setting, too.")
    return tuple(lines)


def _tuning(rows: list[Row], titles: Mapping[str, str]) -> list[str]:
    gains = {row.name: row.values["nll_default"] - row.values["nll"] for row in rows if "nll_default" in row.values}
    changed = [name for name, gain in gains.items() if gain > 0.1]
    if not changed:
        return []
    most = max(changed, key=lambda name: gains[name])
    return [
        f"Tuning lowers the NLL of {len(changed)} of {len(gains)} methods by more than 0.1, most for {titles[most]}."
    ]
