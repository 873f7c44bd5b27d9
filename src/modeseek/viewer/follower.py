"""Loop that follows the folder of a run: polls it every second, and at once after a change on the page."""

from __future__ import annotations

import threading

from modeseek.io.errors import one_line
from modeseek.rundir.metrics_tail import MetricsTail
from modeseek.rundir.run_dir import Run
from modeseek.viewer.frame_sources import FrameSource
from modeseek.viewer.panel import Panel
from modeseek.viewer.render_thread import RenderLoop
from modeseek.viewer.ui_state import UIState, UIStateStore

_POLL_SECONDS = 1.0


class RunFollower:
    """Loads the requested step of a run, and keeps the panel up to date.

    Args:
        run: run to follow; only read.
        source: frames of the run.
        render_loop: loop that renders them; redraws after each load.
        panel: panel to update.
        ui_state: state of the page's controls.
    """

    def __init__(
        self, run: Run, source: FrameSource, render_loop: RenderLoop, panel: Panel, ui_state: UIStateStore
    ) -> None:
        self._run, self._source, self._render_loop = run, source, render_loop
        self._panel, self._ui_state = panel, ui_state
        self._metrics_tail = MetricsTail(run.path / "metrics.jsonl")
        self._wake = threading.Event()
        self._stopped = False
        self._curve = ""
        self._last_ui: UIState | None = None
        self._errors: dict[int, str] = {}
        self.shown: int | None = None
        self.error = ""

    def wake(self) -> None:
        """Triggers an update at once."""
        self._wake.set()

    def stop(self) -> None:
        """Ends `run`."""
        self._stopped = True
        self._wake.set()

    def run(self) -> None:
        """Updates every second, and when woken, until stopped."""
        while not self._stopped:
            self._wake.clear()
            self.update()
            self._wake.wait(_POLL_SECONDS)

    def update(self) -> None:
        """Applies the page's controls once, and shows steps, status and metrics of the run."""
        ui, last = self._ui_state.current, self._last_ui
        self._last_ui = ui
        if last is None or (ui.style, ui.size) != (last.style, last.size):
            self._render_loop.set_style(ui.style, ui.size)
        self._update_step(ui)
        self._panel.show_status(self._status_lines(), self.error)
        self._update_metrics(ui)

    def _update_step(self, ui: UIState) -> None:
        steps = self._source.steps()
        self._errors = {step: line for step, line in self._errors.items() if step in steps}
        loadable = [step for step in steps if step not in self._errors]
        preferred = steps if ui.following else sorted(steps, key=lambda step: -abs(step - ui.step))  # best one last
        self.error = ""
        if preferred and (line := self._errors.get(preferred[-1])):
            self.error = line
        for step in reversed([step for step in preferred if step in loadable]):
            if step == self.shown:
                break
            try:
                self._source.load(step)
            except (ValueError, OSError) as error:
                self._errors[step] = self.error = one_line(error)
                continue
            self.shown = step
            self._render_loop.redraw()
            break
        self._panel.show_steps(steps, self.shown)

    def _status_lines(self) -> list[str]:
        try:
            status = self._run.status
        except ValueError as error:
            return [str(error)]
        state = status.state
        if state in ("running", "created") and not self._run.running:
            state = "not running now; modeseek resume continues it"
        metrics = self._metrics_tail.rows
        step = max(status.step, metrics[-1]["step"] + 1 if metrics else 0)
        lines = [f"{state}, step {step} of {status.steps}" + (f": {status.reason}" if status.reason else "")]
        noun = self._source.noun
        if self.shown is None:
            lines.append(f"No {noun} yet: the first one appears here as soon as it is written.")
        else:
            lines.append(f"Shown: {noun} of step {self.shown}.")
        return lines

    def _update_metrics(self, ui: UIState) -> None:
        changed, names = self._metrics_tail.read(), self._metrics_tail.names
        if not names:
            return
        name = ui.curve if ui.curve in names else "direction_norm" if "direction_norm" in names else names[0]
        if changed:
            self._panel.show_metrics(names, self._metrics_tail.rows[-1])
        if changed or name != self._curve:
            self._curve = name
            self._panel.show_curve(name, *self._metrics_tail.curve(name))
        rate = self._render_loop.resolution.rate
        if rate is not None:
            size = self._render_loop.resolution.size(ui.size)
            self._panel.show_frame_rate(f"While moving: {size} pixels, at most {rate:.0f} frames per second.")
