"""The folder of a training: made once, locked while it is worked on, and read again."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from modeseek.datasets.scenes import Scenes
from modeseek.io.atomic import LineFile, truncate_lines, read_whole_lines, recover_folder, atomic_folder, write_synced, write_atomic
from modeseek.rundir.checkpoint import Checkpoint, newest_checkpoint, write_checkpoint
from tools.bundled_priors.model import read_part, write_part, write_tokenizer
from tools.bundled_priors.recipe import TrainingRecipe, read_recipe
from tools.bundled_priors.tokenizer_text import TEXT
from tools.bundled_priors.stage_trainer import STAGES

_SPOKEN = 4000  # captions that the tokenizer learns from
_FOLDERS = ("grids", "checkpoints", *(f"checkpoints/{stage}" for stage in STAGES))


@dataclass(frozen=True)
class TrainingDir:
    """A training on disk.

    Attributes:
        path: `recipe.json`, `tokenizer/`, `checkpoints/`, `text_encoder/` and `vae/` once they are done,
            `metrics.jsonl`, `grids/`, and `pipeline/`, the model as others load it.
    """

    path: Path

    @classmethod
    def open(cls, path: Path, recipe: TrainingRecipe) -> TrainingDir:
        """The training in that folder, begun with that recipe where there is none.

        Raises:
            ValueError: the folder holds something else, or a damaged training.
            OSError: it cannot be written to.
        """
        place = cls(path)
        if path.is_dir() and any(path.iterdir()):
            read_recipe(path)
            return place
        if path.exists() and not path.is_dir():
            raise ValueError(f"--out is a folder: got {path}, which is a file; choose another name")
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(path, fresh=True) as scratch:
            for name in (*_FOLDERS, "tokenizer"):
                (scratch / name).mkdir()
            rng = torch.Generator().manual_seed(recipe.seed)
            spoken = Scenes(size=recipe.model.size).draw(_SPOKEN, rng, held_out=None).captions
            write_tokenizer(scratch / "tokenizer", recipe.model, [*spoken, *TEXT.splitlines()])
            recipe.write(scratch)
        return place

    @property
    def recipe(self) -> TrainingRecipe:
        """What it is told."""
        return read_recipe(self.path)

    @contextmanager
    def lock(self) -> Generator[None]:
        """Keeps other processes from working on it; what a killed one left half done is removed.

        Raises:
            ValueError: another process is working on it.
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
        """A finished part and the seconds on the clock when it was, or None while there is none.

        Raises:
            ValueError: it is damaged.
        """
        folder = self.path / part
        if not folder.is_dir():
            return None
        try:
            seconds = float(json.loads((folder / "told.json").read_bytes())["seconds"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{folder}/told.json is damaged: restore it or train into a new folder") from error
        return read_part(folder, part), seconds

    def save_part(self, part: Literal["text_encoder", "vae"], module: Any, told: Mapping[str, Any]) -> None:
        """Writes a finished part and what is told of it (seconds and more), whole or not at all."""
        with atomic_folder(self.path / part) as scratch:
            write_part(scratch, module)
            write_synced(scratch / "told.json", json.dumps(dict(told)).encode())

    def save_checkpoint(self, stage: str, step: int, state: Any) -> None:
        """Writes a checkpoint of a stage; the newest two stay."""
        write_checkpoint(self.path / "checkpoints" / stage, step, state)

    def latest_checkpoint(self, stage: str) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint of a stage, and what is wrong with newer ones."""
        return newest_checkpoint(self.path / "checkpoints" / stage)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Rows of `metrics.jsonl`; a damaged line is left out."""
        rows = []
        for line in read_whole_lines(self.path / "metrics.jsonl"):
            try:
                row = json.loads(line)
            except ValueError:  # a damaged line costs itself only
                continue
            if isinstance(row, dict) and {"stage", "step", "seconds"} <= row.keys():
                rows.append(row)
        return rows

    def log(self, row: Mapping[str, Any]) -> None:
        """Appends a row to `metrics.jsonl`."""
        lines = LineFile(self.path / "metrics.jsonl")
        try:
            lines.append(json.dumps(dict(row)))
        finally:
            lines.close()

    def truncate_metrics(self, stage: str, step: int) -> None:
        """Cuts off the metrics of a stage beyond a step: it goes on from there."""
        kept = 0
        for line in read_whole_lines(self.path / "metrics.jsonl"):
            try:
                row = json.loads(line)
                if row["stage"] == stage and row["step"] > step:
                    break
            except (ValueError, KeyError, TypeError):  # a damaged line stays where it is
                pass
            kept += 1
        truncate_lines(self.path / "metrics.jsonl", kept)

    def write_grid(self, name: str, data: bytes) -> None:
        """Writes `grids/<name>.png`."""
        write_atomic(self.path / "grids" / f"{name}.png", data)
