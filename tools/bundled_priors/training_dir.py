"""Training folder of a text-to-image prior: recipe, checkpoints, finished parts, metrics."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modeseek.io.atomic import (
    LineFile,
    atomic_folder,
    read_whole_lines,
    recover_folder,
    truncate_lines,
    write_atomic,
    write_synced,
)
from modeseek.rundir.checkpoint import Checkpoint, newest_checkpoint, write_checkpoint
from modeseek.rundir.metrics_tail import read_metrics
from tools.bundled_priors.history import FILE, HistoryEntry, history_of, read_history
from tools.bundled_priors.model import write_tokenizer
from tools.bundled_priors.pipeline_folder import read_part, write_part
from tools.bundled_priors.recipe import TrainingRecipe, read_recipe
from tools.bundled_priors.stage_trainer import STAGES
from tools.bundled_priors.start import FOLDER, copy_start

_METADATA = "training.json"  # metadata of a finished part
_FOLDERS = ("grids", "checkpoints", *(f"checkpoints/{stage}" for stage in STAGES))


@dataclass(frozen=True)
class TrainingDir:
    """Training folder on disk.

    Attributes:
        path: folder with `recipe.json`, `tokenizer/`, `checkpoints/`, finished `text_encoder/` and `vae/`,
            `metrics.jsonl`, `grids/`, and `pipeline/`, the model for loading. A training that continues from a pipeline
            holds it in `start/` instead of the tokenizer and finished parts.
    """

    path: Path

    @classmethod
    def create(
        cls, path: Path, recipe: TrainingRecipe, corpus: Callable[[], list[str]], start: Path | None
    ) -> TrainingDir:
        """Starts a training in a new folder.

        Args:
            path: folder to create.
            recipe: hyperparameters.
            corpus: texts that the tokenizer is trained on.
            start: pipeline to continue from, or None.

        Raises:
            OSError: the folder cannot be written to.
        """
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(path, fresh=True) as scratch:
            for name in _FOLDERS:
                (scratch / name).mkdir()
            if start is None:
                (scratch / "tokenizer").mkdir()
                write_tokenizer(scratch / "tokenizer", recipe.model, corpus())
            else:
                copy_start(start, scratch / FOLDER)
            recipe.write(scratch)
        return cls(path)

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether the folder holds something to resume.

        Raises:
            ValueError: the path is a file.
        """
        if path.exists() and not path.is_dir():
            raise ValueError(f"--out must be a folder, got {path}, which is a file; choose another name")
        return path.is_dir() and any(path.iterdir())

    @property
    def start(self) -> Path:
        """Folder of the pipeline that the training continues from."""
        return self.path / FOLDER

    @property
    def history(self) -> list[HistoryEntry]:
        """History of the weights: that of the pipeline they began as, and this training's."""
        before = read_history(self.start) if (self.start / FILE).is_file() else ()
        return [*before, *history_of(self.metrics)]

    @property
    def recipe(self) -> TrainingRecipe:
        """Recipe of the training."""
        return read_recipe(self.path)

    @contextmanager
    def lock(self) -> Generator[None]:
        """Locks the folder for this process, and removes what a killed process left half done.

        Raises:
            ValueError: another process holds the lock.
        """
        from filelock import FileLock

        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0.5)
        except TimeoutError as error:
            raise ValueError(f"{self.path} is being trained by another process; wait for it or stop it") from error
        try:
            for folder in (self.path, *(self.path / name for name in _FOLDERS)):
                folder.mkdir(exist_ok=True)
                recover_folder(folder)
            yield
        finally:
            lock.release()

    def load_part(self, part: Literal["text_encoder", "vae"]) -> tuple[Any, float] | None:
        """Loads a finished part and the training time at its end, seconds; None if it is unfinished.

        Raises:
            ValueError: the part is damaged.
        """
        folder = self.path / part
        if not folder.is_dir():
            return None
        try:
            seconds = float(json.loads((folder / _METADATA).read_bytes())["seconds"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{folder / _METADATA} is damaged; restore it or train into a new folder") from error
        return read_part(folder, part), seconds

    def save_part(self, part: Literal["text_encoder", "vae"], module: Any, metadata: Mapping[str, Any]) -> None:
        """Writes a finished part and its metadata, including `seconds`, atomically."""
        with atomic_folder(self.path / part) as scratch:
            write_part(scratch, module)
            write_synced(scratch / _METADATA, json.dumps(dict(metadata)).encode())

    def save_checkpoint(self, stage: str, step: int, state: Any) -> None:
        """Writes a checkpoint of a stage and keeps the newest two."""
        write_checkpoint(self.path / "checkpoints" / stage, step, state)

    def latest_checkpoint(self, stage: str) -> tuple[Checkpoint | None, list[str]]:
        """Newest intact checkpoint of a stage, and one line per damaged newer one."""
        return newest_checkpoint(self.path / "checkpoints" / stage)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Rows of `metrics.jsonl` without damaged lines."""
        rows = read_metrics(self.path / "metrics.jsonl")
        return [row for row in rows if {"stage", "seconds"} <= row.keys()]

    def log(self, row: Mapping[str, Any]) -> None:
        """Appends a row to `metrics.jsonl`."""
        lines = LineFile(self.path / "metrics.jsonl")
        try:
            lines.append(json.dumps(dict(row)))
        finally:
            lines.close()

    def truncate_metrics(self, stage: str, step: int) -> None:
        """Truncates the metrics of a stage after a step, from which training resumes."""
        n_lines = 0
        for line in read_whole_lines(self.path / "metrics.jsonl"):
            try:
                row = json.loads(line)
                if row["stage"] == stage and row["step"] > step:
                    break
            except (ValueError, KeyError, TypeError):  # keeps a damaged line
                pass
            n_lines += 1
        truncate_lines(self.path / "metrics.jsonl", n_lines)

    def write_grid(self, name: str, data: bytes) -> None:
        """Writes a PNG to `grids/<name>.png`."""
        write_atomic(self.path / "grids" / f"{name}.png", data)
