"""The one thread that looks into the run's folder, every second and whenever the page asks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from modeseek.rundir.run_dir import Run
from modeseek.viewer.frame_sources import Show, Solids
from modeseek.viewer.metrics_tail import Tail
from modeseek.viewer.render_thread import Painter
from modeseek.viewer.ui_state import Desk, Wishes

_EVERY = 1.0  # seconds


@runtime_checkable
class Board(Protocol):
    """Where it is written how things stand: `Panel` is one."""

    def moments(self, steps: Sequence[int], shown: int | None) -> None:
        """Which moments there are, and which is shown."""
        ...

    def tell(self, lines: Sequence[str], trouble: str) -> None:
        """How the run stands, and what went wrong here."""
        ...

    def metrics(self, names: Sequence[str], row: dict[str, Any]) -> None:
        """Which metrics there are, and the latest."""
        ...

    def curve(self, name: str, steps: np.ndarray, values: np.ndarray) -> None:
        """One metric over the steps."""
        ...

    def pace(self, line: str) -> None:
        """How fast pictures come."""
        ...


class Follower:
    """Loads the moments that are wanted, and keeps the board true.

    Args:
        run: it is only read.
        show: of what it makes.
        painter: draws anew when a moment was loaded.
        board: is told.
        desk: says what is wanted.
    """

    def __init__(self, run: Run, show: Show, painter: Painter, board: Board, desk: Desk) -> None:
        self._run, self._show, self._painter, self._board, self._desk = run, show, painter, board, desk
        self._tail = Tail(run.path / "metrics.jsonl")
        self._bell = threading.Event()
        self._stopped = False
        self._curve = ""
        self._seen: Wishes | None = None
        self._bad: dict[int, str] = {}
        self.shown: int | None = None
        self.trouble = ""

    def nudge(self) -> None:
        """Look at once."""
        self._bell.set()

    def stop(self) -> None:
        """Ends `work`."""
        self._stopped = True
        self._bell.set()

    def work(self) -> None:
        """Looks until it is stopped."""
        while not self._stopped:
            self._bell.clear()
            self.look()
            self._bell.wait(_EVERY)

    def look(self) -> None:
        """Once: wishes, moments, the run's state, its metrics."""
        wishes, before = self._desk.now, self._seen
        self._seen = wishes
        if before is None or (wishes.look, wishes.size) != (before.look, before.size):
            self._painter.looks(wishes.look, wishes.size)
        self._moment(wishes)
        self._board.tell(self._state(), self.trouble)
        self._metrics(wishes)

    def _moment(self, wishes: Wishes) -> None:
        steps = self._show.steps()
        self._bad = {step: line for step, line in self._bad.items() if step in steps}
        good = [step for step in steps if step not in self._bad]
        wanted = steps if wishes.following else sorted(steps, key=lambda step: -abs(step - wishes.step))
        self.trouble = ""
        if wanted and (line := self._bad.get(wanted[-1])):
            self.trouble = line
        for step in reversed([step for step in wanted if step in good]):
            if step == self.shown:
                break
            try:
                self._show.load(step)
            except (ValueError, OSError) as error:
                self._bad[step] = self.trouble = " ".join(str(error).split())
                continue
            self.shown = step
            self._painter.again()
            break
        self._board.moments(steps, self.shown)

    def _state(self) -> list[str]:
        try:
            status = self._run.status
        except ValueError as error:
            return [str(error)]
        state = status.state
        if state in ("running", "created") and not self._run.running:
            state = "not running now; modeseek resume goes on with it"
        metrics = self._tail.rows
        done = max(status.step, metrics[-1]["step"] + 1 if metrics else 0)
        lines = [f"{state}, step {done} of {status.steps}" + (f": {status.reason}" if status.reason else "")]
        what = "checkpoint" if isinstance(self._show, Solids) else "picture"
        if self.shown is None:
            lines.append(f"No {what} yet: the first one appears here as soon as it is kept.")
        else:
            lines.append(f"Shown: {what} of step {self.shown}.")
        return lines

    def _metrics(self, wishes: Wishes) -> None:
        changed, names = self._tail.read(), self._tail.names
        if not names:
            return
        name = wishes.curve if wishes.curve in names else "direction_norm" if "direction_norm" in names else names[0]
        if changed:
            self._board.metrics(names, self._tail.rows[-1])
        if changed or name != self._curve:
            self._curve = name
            self._board.curve(name, *self._tail.curve(name))
        rate = self._painter.pace.rate
        if rate is not None and isinstance(self._show, Solids):
            size = self._painter.pace.size(wishes.size)
            self._board.pace(f"While it moves: {size} pixels, {rate:.0f} pictures a second at most.")
