"""The metrics of a run on its way: only what is new is read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

_POINTS = 400  # of a curve at most


class MetricsTail:
    """The rows of `metrics.jsonl`, one a step, read on whenever asked.

    A run that goes back cuts its metrics off and writes on: a shorter file, or a step that does not follow, makes it
    read anew.

    Args:
        path: of the file, which need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = 0
        self.rows: list[dict[str, Any]] = []

    def read(self) -> bool:
        """Reads what was added; tells whether anything changed. A torn last line waits, a damaged one is left out."""
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
        """Of the numbers that there are, without the step."""
        found = {name: None for row in self.rows for name, value in row.items() if isinstance(value, int | float)}
        return [name for name in found if name != "step"]

    def curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values, thinned evenly to some hundreds, the last one kept; NaN where there is no number."""
        rows = self.rows[:: -(-len(self.rows) // _POINTS) or 1]
        if self.rows and rows[-1] is not self.rows[-1]:
            rows = [*rows, self.rows[-1]]
        values = [value if isinstance(value := row.get(name), int | float) else math.nan for row in rows]
        return np.array([row["step"] for row in rows], dtype=np.float64), np.array(values, dtype=np.float64)


def _rows(data: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for line in data.decode(errors="replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # a damaged line costs its own step only
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows
