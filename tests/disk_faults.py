"""Run folders to damage, and failing disks: at any write call, full, or read-only."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import modeseek as ms
from modeseek.config.config import Config
from modeseek.config.priors import ToyPriorConfig
from modeseek.io import atomic as disk
from modeseek.rundir import checkpoint
from modeseek.rundir import run_dir as run
from modeseek.rundir.checkpoint import write_checkpoint
from modeseek.rundir.run_dir import Run

CONFIG = Config(ToyPriorConfig(), ms.MSD(ms.Fixed(0.1)), steps=7)


def make(out: Path | str | None, mark: str = "me", **changes: Any) -> Run:
    """A run as `modeseek run` creates it, identified by its command."""
    arguments: dict[str, Any] = {
        "settings": {"verb": "run", **CONFIG.to_dict()},
        "name_parts": ["msd", "Ring of 8!"],
        "command": ["modeseek", "run", mark],
        "prior": {"title": "ring", "sha256": "ab"},
        "steps": 7,
        "out": out,
    }
    arguments |= changes
    return Run.create(arguments.pop("settings"), **arguments)


def state(step: int, n: int = 3) -> dict[str, Any]:
    """A state with values of every type, different at each step."""
    rng = torch.Generator().manual_seed(step)
    x = torch.randn(n, 2, generator=rng)
    return {
        "x": x,
        "mask": x > 0,
        "h": x.double()[0, 0],
        "rng": rng.get_state()[:16],
        "step": step,
        "worst": float("inf"),
        "words": ("é", None, [1.5, True]),
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def write_checkpoints(folder: Path, steps: list[int], keep: int = 5) -> Path:
    folder.mkdir(exist_ok=True)
    for step in steps:
        write_checkpoint(folder, step, state(step), keep)
    return folder


class Killed(BaseException):
    """Simulated death of the process: nothing after it happens, clean-up included."""


class FailingDisk:
    """Counts the write calls of a run folder and makes one of them fail.

    Args:
        patch: the monkeypatch fixture.
        fail_at: index of the failing call, from 0; None only counts.
        half: True if a failing write first writes half of its data.
        kill: die instead of raising OSError: every later call dies too, so nothing is cleaned up.
    """

    def __init__(self, patch: pytest.MonkeyPatch, fail_at: int | None = None, half: bool = False, kill: bool = False):
        self.calls: list[str] = []
        self._fail_at, self._half, self._kill, self._dead = fail_at, half, kill, False
        write = self._write(disk.write_synced)
        for module in (disk, checkpoint, run):
            patch.setattr(module, "write_synced", write)
        for name in ("_rename", "_sync", "_append"):
            patch.setattr(disk, name, self._guard(name, getattr(disk, name)))
        patch.setattr(shutil, "rmtree", self._guard("rmtree", shutil.rmtree, fails=False))
        patch.setattr(Path, "unlink", self._guard("unlink", Path.unlink, fails=False))

    def _count(self, name: str, half: Callable[[], None], fails: bool = True) -> None:
        if self._dead:
            raise Killed(name)
        if not fails:
            return
        self.calls.append(name)
        if len(self.calls) - 1 == self._fail_at:
            if self._half:
                half()
            if self._kill:
                self._dead = True
                raise Killed(name)
            raise OSError(errno.ENOSPC, "No space left on device")

    def _write(self, real: Callable[[Path, bytes], None]) -> Callable[[Path, bytes], None]:
        def write_synced(path: Path, data: bytes) -> None:
            def half() -> None:
                path.write_bytes(data[: len(data) // 2])

            self._count("write", half)
            real(path, data)

        return write_synced

    def _guard(self, name: str, real: Callable[..., Any], fails: bool = True) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            def half() -> None:
                if name == "_append":
                    os.write(args[0], bytes(args[1])[: len(args[1]) // 2])

            self._count(name, half, fails)
            return real(*args, **options)

        return call


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Contents of every file below a folder; None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@contextmanager
def small_disk(folder: Path, size: str = "64k") -> Iterator[Callable[[], None]]:
    """Mounts a disk of that size on a folder; calling the value it gives makes the disk read-only.

    Mounting needs root on Linux; elsewhere the test is skipped, and says so.
    """
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "modeseek-test", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk needs root on Linux: {error}")
    try:
        yield (
            lambda: subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True, capture_output=True) and None
        )
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)
