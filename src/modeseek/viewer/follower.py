"""The one thread that looks into the run's folder, every second and whenever the page asks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from modeseek.rundir.run_dir import Run
from modeseek.viewer.frame_sources import CheckpointFrames, FrameSource
from modeseek.viewer.metrics_tail import MetricsTail
from modeseek.viewer.render_thread import RenderLoop
from modeseek.viewer.ui_state import UIState, UIStateStore

_EVERY = 1.0  # seconds


@runtime_checkable
class RunDisplay(Protocol):
    """Where it is written how things stand: `Panel` is one."""

    def show_steps(self, steps: Sequence[int], shown: int | None) -> None:
        """Which moments there are, and which is shown."""
        ...

    def show_status(self, lines: Sequence[str], trouble: str) -> None:
        """How the run stands, and what went wrong here."""
        ...

    def show_metrics(self, names: Sequence[str], row: dict[str, Any]) -> None:
        """Which metrics there are, and the latest."""
        ...

    def show_curve(self, name: str, steps: np.ndarray, values: np.ndarray) -> None:
        """One metric over the steps."""
        ...

    def show_frame_rate(self, line: str) -> None:
        """How fast pictures come."""
        ...


class RunFollower:
    """Loads the moments that are wanted, and keeps the display true.

    Args:
        run: it is only read.
        show: of what it makes.
        render_loop: draws anew when a moment was loaded.
        display: is told.
        ui_state: says what is wanted.
    """

    def __init__(
        self, run: Run, show: FrameSource, render_loop: RenderLoop, display: RunDisplay, ui_state: UIStateStore
    ) -> None:
        self._run, self._show, self._render_loop, self._display, self._ui_state = (
            run,
            show,
            render_loop,
            display,
            ui_state,
        )
        self._metrics_tail = MetricsTail(run.path / "metrics.jsonl")
        self._bell = threading.Event()
        self._stopped = False
        self._curve = ""
        self._seen: UIState | None = None
        self._bad: dict[int, str] = {}
        self.shown: int | None = None
        self.trouble = ""

    def wake(self) -> None:
        """RenderStyle at once."""
        self._bell.set()

    def stop(self) -> None:
        """Ends `work`."""
        self._stopped = True
        self._bell.set()

    def run(self) -> None:
        """Looks until it is stopped."""
        while not self._stopped:
            self._bell.clear()
            self.update()
            self._bell.wait(_EVERY)

    def update(self) -> None:
        """Once: wishes, moments, the run's state, its metrics."""
        wishes, before = self._ui_state.current, self._seen
        self._seen = wishes
        if before is None or (wishes.look, wishes.size) != (before.look, before.size):
            self._render_loop.set_style(wishes.look, wishes.size)
        self._moment(wishes)
        self._display.show_status(self._state(), self.trouble)
        self._metrics(wishes)

    def _moment(self, wishes: UIState) -> None:
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
            self._render_loop.redraw()
            break
        self._display.show_steps(steps, self.shown)

    def _state(self) -> list[str]:
        try:
            status = self._run.status
        except ValueError as error:
            return [str(error)]
        state = status.state
        if state in ("running", "created") and not self._run.running:
            state = "not running now; modeseek resume goes on with it"
        metrics = self._metrics_tail.rows
        done = max(status.step, metrics[-1]["step"] + 1 if metrics else 0)
        lines = [f"{state}, step {done} of {status.steps}" + (f": {status.reason}" if status.reason else "")]
        what = "checkpoint" if isinstance(self._show, CheckpointFrames) else "picture"
        if self.shown is None:
            lines.append(f"No {what} yet: the first one appears here as soon as it is kept.")
        else:
            lines.append(f"Shown: {what} of step {self.shown}.")
        return lines

    def _metrics(self, wishes: UIState) -> None:
        changed, names = self._metrics_tail.read(), self._metrics_tail.names
        if not names:
            return
        name = wishes.curve if wishes.curve in names else "direction_norm" if "direction_norm" in names else names[0]
        if changed:
            self._display.show_metrics(names, self._metrics_tail.rows[-1])
        if changed or name != self._curve:
            self._curve = name
            self._display.show_curve(name, *self._metrics_tail.curve(name))
        rate = self._render_loop.resolution.rate
        if rate is not None and isinstance(self._show, CheckpointFrames):
            size = self._render_loop.resolution.size(wishes.size)
            self._display.show_frame_rate(f"While it moves: {size} pixels, {rate:.0f} pictures a second at most.")
