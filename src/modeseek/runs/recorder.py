"""Recorder of a run: metrics, log lines and previews."""

from __future__ import annotations

import json
import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from modeseek.config.config import Config
from modeseek.distill import Step
from modeseek.io.atomic import LineFile, read_whole_lines, truncate_lines, write_atomic
from modeseek.rundir.environment import peak_memory_mb
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import utc_now
from modeseek.runs.build import RunObjects
from modeseek.runs.trackers import LogMetrics, open_trackers


class Recorder:
    """Writer of `metrics.jsonl`, `log.txt` and `previews/`, and of the trackers."""

    def __init__(self, run: Run, config: Config, track: LogMetrics) -> None:
        self._run, self._track, self._previews = run, track, config.previews
        self._metrics: LineFile | None = None
        self._log = LineFile(run.path / "log.txt")

    def log_step(self, step: Step, objects: RunObjects, seconds: float, calls: int) -> None:
        """Appends the metrics of a step, means over its rows, to `metrics.jsonl` and the trackers."""
        direction = step.direction
        row: dict[str, Any] = {
            "step": step.index,
            "seconds": round(seconds, 4),
            "calls": calls,
            "direction_norm": direction.grad.flatten(1).norm(dim=1).mean().item(),
            "lr": objects.optimizer.param_groups[0]["lr"],
            "memory_mb": round(peak_memory_mb(), 1),
        }
        row |= {name: values.double().mean().item() for name, values in direction.logs.items()}
        row |= {f"loss_{name}": value for name, value in step.losses.items()}
        if step.relocation is not None:
            row["relocated"] = len(step.relocation.items)
            self.log(f"relocated after step {step.index + 1}: {step.relocation}")
        row = {k: v if math.isfinite(v) else None for k, v in row.items()}
        if self._metrics is None:
            self._metrics = LineFile(self._run.path / "metrics.jsonl")
        self._metrics.append(json.dumps(row, allow_nan=False))
        self._track({k: v for k, v in row.items() if v is not None and k != "step"}, step.index)

    def truncate(self, step: int) -> None:
        """Removes the metrics of steps >= `step` and previews of later steps: the run repeats them."""
        path = self._run.path / "metrics.jsonl"
        n_kept = 0
        for line in read_whole_lines(path):
            try:
                if json.loads(line)["step"] >= step:
                    break
            except (ValueError, KeyError, TypeError):  # the run repeats the steps from a damaged line on
                self.log(f"metrics.jsonl line {n_kept + 1} is damaged; it and all lines after it are removed")
                break
            n_kept += 1
        truncate_lines(path, n_kept)
        for preview in sorted((self._run.path / "previews").glob("step-*.png")):
            if int(preview.stem.removeprefix("step-")) > step:
                preview.unlink()

    def log(self, line: str) -> None:
        """Appends a line with the UTC time to `log.txt`."""
        self._log.append(f"{utc_now()} {' '.join(line.split())}")

    def preview_due(self, index: int, steps: int) -> bool:
        """Whether a preview is due before the update of this step: evenly spaced, the first step included."""
        n = min(self._previews, steps)
        return n > 0 and (index == 0 or index * n // steps > (index - 1) * n // steps)

    def save_preview(self, step: int, png: bytes) -> None:
        """Writes the preview of the run after `step` steps."""
        write_atomic(self._run.path / "previews" / f"step-{step:08d}.png", png)

    def sync(self) -> None:
        """Blocks until all lines are on disk."""
        for lines in (self._metrics, self._log):
            if lines is not None:
                lines.sync()

    def close(self) -> None:
        for lines in (self._metrics, self._log):
            if lines is not None:
                lines.close()


class NullRecorder(Recorder):
    """Recorder that writes nothing, for ranks other than 0."""

    def __init__(self) -> None:
        self._metrics = None

    def log_step(self, step: Step, objects: RunObjects, seconds: float, calls: int) -> None:
        return

    def truncate(self, step: int) -> None:
        return

    def log(self, line: str) -> None:
        return

    def preview_due(self, index: int, steps: int) -> bool:
        return False

    def save_preview(self, step: int, png: bytes) -> None:
        return

    def sync(self) -> None:
        return


@contextmanager
def open_recorder(run: Run, config: Config) -> Generator[Recorder]:
    """Opens the files of a run and the trackers of its configuration."""
    with open_trackers(run, config) as track:
        recorder = Recorder(run, config, track)
        try:
            yield recorder
        finally:
            recorder.close()
