"""Checkpoints: a folder each, whole or absent, checked byte by byte before it is used."""

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

from modeseek.io.atomic import remove_folder, atomic_folder, write_synced
from modeseek.rundir.state_serialization import pack, unpack

_FORMAT = "modeseek-checkpoint-1"
_STATE, _TENSORS, _MANIFEST = "state.json", "tensors.safetensors", "manifest.json"
_NAME = re.compile(r"step-([0-9]{8,})")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose every byte was verified.

    Attributes:
        path: its folder.
        step: steps that were done.
        plain: the packed state.
        tensors: by place.
    """

    path: Path
    step: int
    plain: Any
    tensors: Mapping[str, Tensor]

    def restore(self, template: Any, device: torch.device | str = "cpu") -> Any:
        """The state; modules and optimizers are loaded into those of the template.

        Raises:
            ValueError: it was written by another method, generator or version.
        """
        try:
            return unpack(self.plain, self.tensors, template, device)
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"{self.path.name} does not fit this run: {reason}; use the version that wrote it"
            ) from error


def write_checkpoint(folder: Path, step: int, state: Any, keep: int = 2) -> Path:
    """Writes `state` as the checkpoint after `step` steps; the newest `keep` stay.

    Those of later steps go: the run came back to here because they are damaged, or to leave them behind.

    Raises:
        OSError: it cannot be written; those before it are untouched.
        TypeError: a state that cannot be kept.
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
    there = list_checkpoints(folder)
    kept = [path for path in there if _step(path) <= step][-max(2, keep) :]
    for path in there:
        if path not in kept:
            remove_folder(path)
    return target


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first, verified or not."""
    there = folder.iterdir() if folder.is_dir() else ()
    return sorted((path for path in there if _NAME.fullmatch(path.name) and path.is_dir()), key=_step)


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads one, whatever wrote it.

    Raises:
        ValueError: damaged: a file is missing, too short, too long or altered.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        manifest = json.loads((path / _MANIFEST).read_bytes())
        if manifest["format"] != _FORMAT:
            raise ValueError(f"its format is {str(manifest['format'])[:60]!r}, not {_FORMAT!r}")
        data = {}
        for name in (_STATE, _TENSORS):
            told, data[name] = manifest["files"][name], (path / name).read_bytes()
            if len(data[name]) != told["bytes"]:
                raise ValueError(f"{name} has {len(data[name])} bytes, not {told['bytes']}")
            if hashlib.sha256(data[name]).hexdigest() != told["sha256"]:
                raise ValueError(f"{name} was altered: its SHA-256 differs from the manifest's")
        state = json.loads(data[_STATE])
        step = _step(path)
        if not step == state["step"] == manifest["step"]:
            raise ValueError(f"it holds step {state['step']}")
        return Checkpoint(path, step, state["state"], load(data[_TENSORS]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        if isinstance(error, OSError):
            reason = f"{Path(error.filename or path).name}: {error.strerror}"
        elif isinstance(error, KeyError | TypeError | RecursionError | json.JSONDecodeError | UnicodeDecodeError):
            reason = "its manifest or state is no readable JSON of ours"
        else:
            reason = str(error)
        raise ValueError(f"checkpoint {path.name} is damaged: {' '.join(reason.split())[:300]}") from error


def newest_checkpoint(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, and what is wrong with newer ones. Nothing is changed."""
    wrong: list[str] = []
    for path in reversed(list_checkpoints(folder)):
        try:
            return read_checkpoint(path), wrong
        except ValueError as error:
            wrong.append(str(error))
    return None, wrong


def _step(path: Path) -> int:
    name = _NAME.fullmatch(path.name)
    if name is None:
        raise ValueError(f"its name is no step: got {path.name!r}")
    return int(name[1])
