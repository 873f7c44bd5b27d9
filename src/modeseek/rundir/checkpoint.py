"""Checkpoints: one folder each, written atomically and verified by SHA-256 before use."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modeseek.io.atomic import atomic_folder, remove_folder, write_synced
from modeseek.io.errors import one_line
from modeseek.rundir.state_serialization import pack, unpack

_FORMAT = "modeseek-checkpoint-2"  # increase it when a dataclass that checkpoints name is renamed
_EARLIER_FORMATS = ("modeseek-checkpoint-1",)
_STATE, _TENSORS, _MANIFEST = "state.json", "tensors.safetensors", "manifest.json"
_NAME = re.compile(r"step-([0-9]{8,})")


class EarlierVersionError(ValueError):
    """A checkpoint was written by an earlier version of modeseek, whose format cannot be read."""


@dataclass(frozen=True)
class Checkpoint:
    """Verified checkpoint in memory.

    Attributes:
        path: folder of the checkpoint.
        step: number of completed steps.
        plain: packed state, JSON data.
        tensors: tensors of the state, by their path in it.
    """

    path: Path
    step: int
    plain: Any
    tensors: Mapping[str, Tensor]

    def restore(self, template: Any, device: torch.device | str = "cpu") -> Any:
        """Unpacks the state; modules and optimizers are loaded into those of the template.

        Raises:
            ValueError: another method, generator or version wrote the checkpoint.
        """
        try:
            return unpack(self.plain, self.tensors, template, device)
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = one_line(error, 300)
            raise ValueError(
                f"{self.path.name} does not fit this run: {reason}; use the version that wrote it"
            ) from error


def write_checkpoint(folder: Path, step: int, state: Any, keep: int = 2) -> Path:
    """Writes `state` as the checkpoint after `step` steps and keeps the newest `keep` (at least 2).

    Checkpoints of later steps are removed: after a rollback, or a resume past damaged ones, the run repeats them.

    Raises:
        OSError: the checkpoint cannot be written; earlier ones are untouched.
        TypeError: the state holds an object that cannot be saved.
    """
    import safetensors.torch

    tensors: dict[str, Tensor] = {}
    plain = pack(state, tensors)
    target = folder / f"step-{step:08d}"
    files = {
        _TENSORS: safetensors.torch.save(tensors),
        _STATE: json.dumps({"step": step, "state": plain}, allow_nan=False).encode(),
    }
    sums = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    files[_MANIFEST] = json.dumps({"format": _FORMAT, "step": step, "files": sums}, indent=2).encode()
    with atomic_folder(target) as scratch:
        for name, data in files.items():
            write_synced(scratch / name, data)
    existing = list_checkpoints(folder)
    kept = [path for path in existing if _step(path) <= step][-max(2, keep) :]
    for path in existing:
        if path not in kept:
            remove_folder(path)
    return target


def list_checkpoints(folder: Path) -> list[Path]:
    """Paths of the checkpoints in a folder, oldest first, not verified."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted((path for path in paths if _NAME.fullmatch(path.name) and path.is_dir()), key=_step)


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads and verifies a checkpoint.

    Raises:
        EarlierVersionError: an earlier version of modeseek wrote it.
        ValueError: it is damaged: a file is missing, has the wrong size or was altered.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        manifest = json.loads((path / _MANIFEST).read_bytes())
        _check_format(path, manifest)
        if manifest["format"] != _FORMAT:
            raise ValueError(f"its format is {str(manifest['format'])[:60]!r}, not {_FORMAT!r}")
        data = {}
        for name in (_STATE, _TENSORS):
            expected, data[name] = manifest["files"][name], (path / name).read_bytes()
            if len(data[name]) != expected["bytes"]:
                raise ValueError(f"{name} has {len(data[name])} bytes, not {expected['bytes']}")
            if hashlib.sha256(data[name]).hexdigest() != expected["sha256"]:
                raise ValueError(f"{name} was altered: its SHA-256 differs from the manifest's")
        state = json.loads(data[_STATE])
        step = _step(path)
        if not step == state["step"] == manifest["step"]:
            raise ValueError(f"it holds step {state['step']}")
        return Checkpoint(path, step, state["state"], load(data[_TENSORS]))
    except EarlierVersionError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        if isinstance(error, OSError):
            reason = f"{Path(error.filename or path).name}: {error.strerror}"
        elif isinstance(error, KeyError | TypeError | RecursionError | json.JSONDecodeError | UnicodeDecodeError):
            reason = "its manifest or state is not the JSON that modeseek writes"
        else:
            reason = str(error)
        raise ValueError(f"checkpoint {path.name} is damaged: {' '.join(reason.split())[:300]}") from error


def newest_checkpoint(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest intact checkpoint, and an error line for each newer, damaged one. Nothing is changed on disk.

    Raises:
        EarlierVersionError: an earlier version of modeseek wrote the checkpoints.
    """
    damaged: list[str] = []
    for path in reversed(list_checkpoints(folder)):
        try:
            return read_checkpoint(path), damaged
        except EarlierVersionError:
            raise
        except ValueError as error:
            damaged.append(str(error))
    return None, damaged


def check_formats(folder: Path) -> None:
    """Raises EarlierVersionError if an earlier version of modeseek wrote a checkpoint; reads the manifests alone."""
    for path in list_checkpoints(folder):
        try:
            manifest = json.loads((path / _MANIFEST).read_bytes())
        except (OSError, ValueError, RecursionError):  # damaged, to be reported when the checkpoint is read
            continue
        _check_format(path, manifest)


def _check_format(path: Path, manifest: Any) -> None:
    if isinstance(manifest, dict) and manifest.get("format") in _EARLIER_FORMATS:
        raise EarlierVersionError(
            f"the run of checkpoint {path.name} was made by an earlier version of modeseek and cannot be resumed: its "
            f"format is {manifest['format']!r}, not {_FORMAT!r}; start a new run or use the version that made it"
        )


def _step(path: Path) -> int:
    name = _NAME.fullmatch(path.name)
    if name is None:
        raise ValueError(f"its name is not step-NNNNNNNN: got {path.name!r}")
    return int(name[1])
