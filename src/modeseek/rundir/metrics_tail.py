"""Reader of the metrics of a run, whole or as they are appended."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

_MAX_POINTS = 400  # of a curve


class MetricsTail:
    """Rows of `metrics.jsonl`, one per step; each read continues where the last one ended.

    A run that rolls back truncates its metrics and continues: a shorter file, or a step that does not follow the last
    one, triggers a full read.

    Args:
        path: metrics file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = 0
        self.rows: list[dict[str, Any]] = []

    def read(self) -> bool:
        """Reads appended rows; returns whether anything changed. Damaged lines are skipped, an unfinished one waits."""
        if not self._path.exists():
            changed = bool(self.rows)
            self.rows, self._end = [], 0
            return changed
        if self._path.stat().st_size < self._end:
            self.rows, self._end = [], 0
        with self._path.open("rb") as file:
            file.seek(self._end)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        if not whole:
            return False
        added = _rows(data[:whole])
        if self._end and self.rows and added and added[0]["step"] <= self.rows[-1]["step"]:
            self.rows, self._end = [], 0
            return self.read()
        self.rows += added
        self._end += whole
        return True

    @property
    def names(self) -> list[str]:
        """Names of the numeric metrics, without the step."""
        names = {name: None for row in self.rows for name, value in row.items() if isinstance(value, int | float)}
        return [name for name in names if name != "step"]

    def curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values of a metric, thinned evenly to about 400 points, the last one kept; NaN where missing."""
        rows = self.rows[:: -(-len(self.rows) // _MAX_POINTS) or 1]
        if self.rows and rows[-1] is not self.rows[-1]:
            rows = [*rows, self.rows[-1]]
        values = [value if isinstance(value := row.get(name), int | float) else math.nan for row in rows]
        return np.array([row["step"] for row in rows], dtype=np.float64), np.array(values, dtype=np.float64)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Rows of a metrics file, without damaged and unfinished lines; none if there is no file."""
    tail = MetricsTail(path)
    tail.read()
    return tail.rows


def _rows(data: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for line in data.decode(errors="replace").split("\n"):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # damaged: costs its own step only
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows
