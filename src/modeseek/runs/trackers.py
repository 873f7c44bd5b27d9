"""Where else metrics go: TensorBoard, Weights & Biases or Trackio, behind one function."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

from modeseek.config.config import Config, Tracker
from modeseek.rundir.run_dir import Run

LogMetrics = Callable[[Mapping[str, float], int], None]


@contextmanager
def open_trackers(run: Run, config: Config) -> Generator[LogMetrics]:
    """A function (metrics, step) -> None that tells every tracker the configuration names; none by default.

    `metrics.jsonl` is written whatever trackers there are. A resumed run continues the same record.

    Raises:
        ValueError: a tracker's package is not installed.
    """
    with ExitStack() as stack:
        logs = [stack.enter_context(_OPEN[name](run, config)) for name in config.trackers]

        def log(metrics: Mapping[str, float], step: int) -> None:
            for each in logs:
                each(metrics, step)

        yield log


def check_trackers(names: tuple[Tracker, ...]) -> None:
    """ValueError where a tracker's package is missing."""
    for name in names:
        _package("torch.utils.tensorboard" if name == "tensorboard" else name, name)


@contextmanager
def _tensorboard(run: Run, config: Config) -> Generator[LogMetrics]:
    writer = _package("torch.utils.tensorboard", "tensorboard").SummaryWriter(run.path / "tensorboard")
    try:

        def log(metrics: Mapping[str, float], step: int) -> None:
            for name, value in metrics.items():
                writer.add_scalar(name, value, step)

        yield log
    finally:
        writer.close()


@contextmanager
def _wandb(run: Run, config: Config) -> Generator[LogMetrics]:
    wandb = _package("wandb", "wandb")
    session = wandb.init(project="modeseek", id=run.path.name, resume="allow", dir=str(run.path), config=config.to_dict())
    try:
        yield lambda metrics, step: session.log(dict(metrics), step=step)
    finally:
        session.finish()


@contextmanager
def _trackio(run: Run, config: Config) -> Generator[LogMetrics]:
    trackio = _package("trackio", "trackio")
    session = trackio.init(project="modeseek", name=run.path.name, resume="allow", config=config.to_dict())
    try:
        yield lambda metrics, step: session.log(dict(metrics), step=step)
    finally:
        session.finish()


_OPEN: dict[Tracker, Callable[[Run, Config], Any]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "trackio": _trackio,
}


def _package(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ValueError(
            f"the tracker {extra} is not installed: install it with pip install 'modeseek[{extra}]', or leave it out"
        ) from error
