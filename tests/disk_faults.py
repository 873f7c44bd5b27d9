"""Runs to be damaged, and disks that fail: at every call, full ones and read-only ones."""

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
from modeseek.rundir.status import Status

CONFIG = Config(ToyPriorConfig(), ms.MSD(ms.Fixed(0.1)), steps=7)


def make(out: Path | str | None, mark: str = "me", **changes: Any) -> Run:
    """A run as `modeseek run` begins it, told from others by its command."""
    given: dict[str, Any] = {
        "settings": {"verb": "run", **CONFIG.to_dict()},
        "words": ["msd", "Ring of 8!"],
        "command": ["modeseek", "run", mark],
        "environment": {"versions": {"python": "3"}},
        "status": Status("created", steps=7),
        "out": out,
    }
    given |= changes
    return Run.create(given.pop("settings"), **given)


def state(step: int, n: int = 3) -> dict[str, Any]:
    """A state of every kind of thing, other numbers at every step."""
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


def keep_some(folder: Path, steps: list[int], keep: int = 5) -> Path:
    folder.mkdir(exist_ok=True)
    for step in steps:
        write_checkpoint(folder, step, state(step), keep)
    return folder


class Killed(BaseException):
    """The process is dead: nothing after this happens, clean-up included."""


class Disk:
    """Counts the writes of a run folder and ends one of them badly.

    Args:
        patch: pytest's.
        fail_at: which call fails, from 0; None counts only.
        half: write half of the data first, where the call writes.
        kill: die there instead: every later call dies too, so nothing is tidied up.
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

    def _meet(self, name: str, half: Callable[[], None], fails: bool = True) -> None:
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

            self._meet("write", half)
            real(path, data)

        return write_synced

    def _guard(self, name: str, real: Callable[..., Any], fails: bool = True) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            def half() -> None:
                if name == "_append":
                    os.write(args[0], bytes(args[1])[: len(args[1]) // 2])

            self._meet(name, half, fails)
            return real(*args, **options)

        return call


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder and what is in it; None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@contextmanager
def small_disk(folder: Path, size: str = "64k") -> Iterator[Callable[[], None]]:
    """A real disk of that size, mounted on a folder; calling what it gives makes the disk read-only.

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
