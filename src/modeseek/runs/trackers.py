"""Experiment trackers behind one logging function: TensorBoard, Weights & Biases, Trackio."""

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
    """Gives a function (metrics, step) that logs to every tracker in the configuration; none by default.

    `metrics.jsonl` is written independently of the trackers. A resumed run continues its tracker run.

    Raises:
        ValueError: a tracker's package is not installed.
    """
    with ExitStack() as stack:
        logs = [stack.enter_context(_TRACKERS[name](run, config)) for name in config.trackers]

        def log(metrics: Mapping[str, float], step: int) -> None:
            for log_to_tracker in logs:
                log_to_tracker(metrics, step)

        yield log


def check_trackers(names: tuple[Tracker, ...]) -> None:
    """Raises ValueError if the package of a tracker is not installed."""
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


def _wandb(run: Run, config: Config) -> Any:
    return _wandb_run("wandb", config, id=run.path.name, dir=str(run.path))


def _trackio(run: Run, config: Config) -> Any:
    return _wandb_run("trackio", config, name=run.path.name)


@contextmanager
def _wandb_run(package: str, config: Config, **options: str) -> Generator[LogMetrics]:
    """Tracker run of a package with the interface of wandb."""
    tracker_run = _package(package, package).init(
        project="modeseek", resume="allow", config=config.to_dict(), **options
    )
    try:
        yield lambda metrics, step: tracker_run.log(dict(metrics), step=step)
    finally:
        tracker_run.finish()


_TRACKERS: dict[Tracker, Callable[[Run, Config], Any]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "trackio": _trackio,
}


def _package(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ValueError(
            f"the tracker {extra} is not installed: run pip install 'modeseek[{extra}]', or remove it from trackers"
        ) from error
