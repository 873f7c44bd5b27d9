"""What a run writes at each step: metrics, log lines and pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from modeseek.config.config import Config
from modeseek.distill import Step
from modeseek.io.atomic import LineFile, truncate_lines, read_whole_lines, write_atomic
from modeseek.rundir.environment import peak_memory_mb
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import utc_now
from modeseek.runs.build import RunObjects
from modeseek.runs.trackers import LogMetrics, open_trackers


class Recorder:
    """The open files of a run."""

    def __init__(self, run: Run, config: Config, track: LogMetrics) -> None:
        self._run, self._track, self._previews = run, track, config.previews
        self._metrics: LineFile | None = None
        self._log = LineFile(run.path / "log.txt")

    def log_step(self, step: Step, job: RunObjects, seconds: float, calls: int) -> None:
        """Adds one line to `metrics.jsonl`: means over the rows."""
        direction = step.direction
        told: dict[str, Any] = {
            "step": step.index,
            "seconds": round(seconds, 4),
            "calls": calls,
            "direction_norm": direction.grad.flatten(1).norm(dim=1).mean().item(),
            "lr": job.optimizer.param_groups[0]["lr"],
            "memory_mb": round(peak_memory_mb(), 1),
        }
        told |= {name: values.double().mean().item() for name, values in direction.logs.items()}
        told |= {f"loss_{name}": value for name, value in step.losses.items()}
        told = {k: v if math.isfinite(v) else None for k, v in told.items()}
        if self._metrics is None:
            self._metrics = LineFile(self._run.path / "metrics.jsonl")
        self._metrics.append(json.dumps(told, allow_nan=False))
        self._track({k: v for k, v in told.items() if v is not None and k != "step"}, step.index)

    def truncate(self, step: int) -> None:
        """Forgets the metrics of steps from `step` on: they are taken again."""
        path = self._run.path / "metrics.jsonl"
        keep = 0
        for line in read_whole_lines(path):
            try:
                if json.loads(line)["step"] >= step:
                    break
            except (ValueError, KeyError, TypeError):  # a damaged line is taken again with those after it
                self.log(f"metrics.jsonl line {keep + 1} is damaged; it and those after it are left out")
                break
            keep += 1
        truncate_lines(path, keep)
        for picture in sorted((self._run.path / "previews").glob("step-*.png")):
            if int(picture.stem.removeprefix("step-")) > step:
                picture.unlink()

    def log(self, line: str) -> None:
        """Adds a line with the time to `log.txt`."""
        self._log.append(f"{utc_now()} {' '.join(line.split())}")

    def preview_due(self, index: int, steps: int) -> bool:
        """Whether a picture is due before the move of this step: evenly spaced, the first one included."""
        n = min(self._previews, steps)
        return n > 0 and (index == 0 or index * n // steps > (index - 1) * n // steps)

    def save_preview(self, step: int, png: bytes) -> None:
        """Keeps a picture of the run after `step` steps."""
        write_atomic(self._run.path / "previews" / f"step-{step:08d}.png", png)

    def sync(self) -> None:
        """Returns once all lines are on the disk."""
        for lines in (self._metrics, self._log):
            if lines is not None:
                lines.sync()

    def close(self) -> None:
        for lines in (self._metrics, self._log):
            if lines is not None:
                lines.close()


class NullRecorder(Recorder):
    """Writes nothing: of several processes the first one does."""

    def __init__(self) -> None:
        self._metrics = None

    def log_step(self, step: Step, job: RunObjects, seconds: float, calls: int) -> None:
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
    """Opens the files of a run and the trackers it names."""
    with open_trackers(run, config) as track:
        recorder = Recorder(run, config, track)
        try:
            yield recorder
        finally:
            recorder.close()
