"""Session of a training: runs a stage from its newest checkpoint, with checkpoints, metrics and evaluation."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from modeseek.io.progress import Progress
from modeseek.rundir.environment import describe_device
from modeseek.runs.interrupts import RunFailed, RunInterrupted, StopRequest
from tools.bundled_priors.lr_schedule import StageDuration, TrainingClock
from tools.bundled_priors.stage_trainer import StageTrainer
from tools.bundled_priors.training_dir import TrainingDir

SAVE_EVERY, EVALUATE_EVERY, EVALUATE_FIRST = 180.0, 600.0, 180.0  # seconds
_LOG_EVERY = 20  # steps


@dataclass(frozen=True)
class SessionSettings:
    """Settings of one session: one call of `python -m tools.bundled_priors train`.

    Attributes:
        budget: training time of all sessions, seconds.
        device: device of the networks: cpu, cuda, cuda:1 or mps.
        batch: batch size of the denoiser, or None for the recipe's.
        lr: peak learning rate of the denoiser, or None for the recipe's.
        workers: number of processes that render scenes, or 0.
        icons: folder with the npm packages of drawings, for emoji.
    """

    budget: float
    device: str = "cpu"
    batch: int | None = None
    lr: float | None = None
    workers: int = 0
    icons: Path | None = None

    def __post_init__(self) -> None:
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"batch size must be at least 1, got {self.batch}; leave --batch out for the default")
        if self.lr is not None and not 0 < self.lr < 1:
            raise ValueError(f"learning rate must be in (0, 1), got {self.lr:g}; leave --lr out for the default")
        if self.workers < 0:
            raise ValueError(f"number of workers must be at least 0, got {self.workers}; leave --workers out for none")


class LossMeter:
    """Mean loss and steps per second since the last reading; on CUDA the loss is read back only then."""

    def __init__(self) -> None:
        self._sum: torch.Tensor | None = None
        self._n_steps, self._began = 0, time.perf_counter()

    def add(self, loss: torch.Tensor) -> None:
        """Adds the loss of a step."""
        self._sum = loss.clone() if self._sum is None else self._sum + loss
        self._n_steps += 1

    def restart(self) -> None:
        """Leaves the steps so far, and what came after them, out of the measurement."""
        self._sum, self._n_steps, self._began = None, 0, time.perf_counter()

    def read(self) -> tuple[float, float]:
        """Mean loss and steps per second; the measurement begins anew."""
        mean = math.nan if self._sum is None else self._sum.item() / self._n_steps
        rate = self._n_steps / max(1e-9, time.perf_counter() - self._began)
        self.restart()
        return mean, rate


@dataclass(frozen=True)
class TrainingSession:
    """Session of a training.

    Attributes:
        directory: training folder.
        settings: settings of the session.
        device: device of the networks.
        clock: training time so far.
        stop_request: request to stop by a signal.
    """

    directory: TrainingDir
    settings: SessionSettings
    device: torch.device
    clock: TrainingClock
    stop_request: StopRequest

    @property
    def resume_command(self) -> str:
        """Command that resumes the training with the same settings."""
        s, prior = self.settings, self.directory.recipe.prior
        words = ["train", prior, "--out", str(self.directory.path), "--budget", f"{s.budget / 60:g}m"]
        options = {"device": s.device if s.device != "cpu" else None, "batch": s.batch, "lr": s.lr, "icons": s.icons}
        options["workers"] = s.workers or None
        for name, value in options.items():
            words += [] if value is None else [f"--{name}", str(value)]
        return f"python -m tools.bundled_priors {shlex.join(words)}"

    def log(self, trainer: StageTrainer, values: dict[str, Any]) -> None:
        """Appends a row to the metrics."""
        seconds = round(self.clock.seconds, 1)
        row = {"stage": trainer.name, "step": trainer.step, "samples": trainer.samples, "seconds": seconds}
        self.directory.log(row | values)


def train_stage(
    session: TrainingSession,
    trainer: StageTrainer,
    duration: StageDuration,
    evaluate: Callable[[], None],
    evaluate_first: bool = False,
) -> Generator[Progress, None, None]:
    """Trains one stage from its newest intact checkpoint to its end.

    Args:
        session: session of the training.
        trainer: trainer of the stage.
        duration: length of the stage.
        evaluate: evaluates the model, every ten minutes.
        evaluate_first: whether a training that begins is evaluated before its first step.

    Raises:
        RunInterrupted: stopped by a signal after a checkpoint.
        RunFailed: non-finite loss.
    """
    try:
        yield from _train_stage(session, trainer, duration, evaluate, evaluate_first)
    finally:
        trainer.feed.close()


def _train_stage(
    session: TrainingSession,
    trainer: StageTrainer,
    duration: StageDuration,
    evaluate: Callable[[], None],
    evaluate_first: bool,
) -> Generator[Progress, None, None]:
    clock = session.clock
    restore(session, trainer)
    yield from trainer.feed.fill()
    _log_session(session, trainer)
    if evaluate_first and trainer.step == 0:
        session.log(trainer, trainer.evaluate())
    last_saved, last_evaluated = clock.seconds, clock.seconds - EVALUATE_EVERY + EVALUATE_FIRST
    meter, warned = LossMeter(), False
    while (progress := duration.progress(trainer.step, clock.seconds)) < 1:
        loss = trainer.train_step(progress)
        meter.add(loss)
        if session.device.type == "cpu":  # elsewhere reading it would wait for the device
            _check_finite(session, trainer, loss.item())
        seconds = clock.seconds
        if trainer.update.graph_failure and not warned:
            warned = True
            session.log(trainer, {"warning": f"steps are no CUDA graph, and slower: {trainer.update.graph_failure}"})
        if trainer.step % _LOG_EVERY == 0:
            mean, rate = meter.read()
            _check_finite(session, trainer, mean)
            session.log(trainer, {"loss": mean, "lr": trainer.lr, "steps_per_second": round(rate, 3)})
            total = duration.steps or round(trainer.step / max(1e-6, progress))
            note = f"loss {mean:.4f}, {rate:.3g} steps/s{_time_left(duration, seconds)}"
            yield Progress(trainer.name, trainer.step, total, f"{note}, no CUDA graph" if warned else note)
        signal = session.stop_request.signal
        if signal or seconds - last_saved >= SAVE_EVERY:
            _save(session, trainer)
            last_saved = clock.seconds
            meter.restart()
        if signal:
            raise RunInterrupted(
                f"{signal} after step {trainer.step} of stage {trainer.name}; resume with: {session.resume_command}"
            )
        if seconds - last_evaluated >= EVALUATE_EVERY:
            evaluate()
            last_evaluated = clock.seconds
            meter.restart()
    _save(session, trainer)


def restore(session: TrainingSession, trainer: StageTrainer) -> None:
    """Restores a stage and the training time from its newest intact checkpoint, if there is one."""
    checkpoint, _ = session.directory.latest_checkpoint(trainer.name)
    if checkpoint is not None:
        state = checkpoint.restore({"training": trainer.checkpoint_state()}, session.device)
        trainer.load_state(state["training"])
        session.clock.before += max(0.0, state["seconds"] - session.clock.seconds)
    session.directory.truncate_metrics(trainer.name, trainer.step)


def _log_session(session: TrainingSession, trainer: StageTrainer) -> None:
    description = describe_device(str(session.device))
    threads = description.get("threads")
    device = description["name"] if threads is None else f"CPU, {threads} thread{'s' * (threads > 1)}"
    settings = {"trains": trainer.trains, "device": device, "measure": trainer.measure}
    session.log(trainer, {"session": settings | {"batch": trainer.stage.batch, "lr": trainer.stage.lr}})


def _save(session: TrainingSession, trainer: StageTrainer) -> None:
    state = {"training": trainer.checkpoint_state(), "seconds": session.clock.seconds}
    session.directory.save_checkpoint(trainer.name, trainer.step, state)


def _check_finite(session: TrainingSession, trainer: StageTrainer, loss: float) -> None:
    if not math.isfinite(loss):
        position = f"step {trainer.step} of stage {trainer.name}"
        raise RunFailed(f"loss must be finite, got {loss} at {position}; resume with: {session.resume_command}")


def _time_left(duration: StageDuration, seconds: float) -> str:
    return "" if duration.steps is not None else f", {max(0, round((duration.end - seconds) / 60))} min left"
