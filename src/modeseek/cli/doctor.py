"""`modeseek doctor`: what this machine has, and whether a run works on it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from modeseek.bandwidth import Fixed
from modeseek.methods.msd import MSD
from modeseek.runs.config.config import Config, Saving
from modeseek.runs.config.generator import FreePoints, Noise
from modeseek.runs.config.optimizer import SGD
from modeseek.runs.config.prior import Problem
from modeseek.runs.start import resume, run
from modeseek.runs.store.environment import PACKAGES, machine, versions

_FOR = {
    "diffusers": "priors from diffusers pipelines",
    "viser": "the live viewer",
    "ray": "sweeps over machines",
    "tensorboard": "the tracker of that name",
    "wandb": "the tracker of that name",
    "trackio": "the tracker of that name",
}
_EXTRA = {"viser": "viewer", "ray": "distributed"}


@dataclass(frozen=True)
class DoctorCommand:
    """Show versions, devices, memory and what is installed, then try a run of twenty steps and a resume.

    Ends with code 1 if something does not work, and says what to do.
    """

    def run(self, argv: Sequence[str]) -> None:
        """Prints the findings."""
        here = machine()
        print("versions   " + ", ".join(f"{name} {number}" for name, number in versions(PACKAGES).items()))
        print(f"machine    {here['system']} {here['architecture']}, {here['cores']} cores, {_memory()}")
        for line in _devices():
            print(f"device     {line}")
        print(f"disk       {shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB free here")
        for name, use in _FOR.items():
            print(f"extra      {name}: {_installed(name)} ({use})")
        try:
            print(f"trial      {_trial()}")
        except (OSError, RuntimeError, ValueError) as error:
            print(f"trial      failed: {' '.join(str(error).split())}")
            print("modeseek: a run does not work here", file=sys.stderr)
            sys.exit(1)


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return f"not installed; pip install 'modeseek[{_EXTRA.get(name, name)}]'"


def _devices() -> Iterator[str]:
    yield f"cpu, {torch.get_num_threads()} threads"
    for index in range(torch.cuda.device_count()):
        told = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        yield f"cuda:{index}, {told.name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    if torch.backends.mps.is_available():
        yield "mps"


def _memory() -> str:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return "memory unknown"
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB of memory"


def _trial() -> str:
    """Runs, resumes and compares with the truth: mean shift on the ring ends on its circle."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="modeseek-doctor-") as folder:
        config = Config(
            Problem("ring"),
            MSD(Fixed(0.1)),
            FreePoints(Noise(16)),
            SGD(),
            steps=10,
            saving=Saving(steps=5),
            previews=0,
        )
        done = resume(run(config, Path(folder) / "trial"), steps=20)
        shift = done.metrics[-1]["relative_shift"]
        if done.status.state != "finished" or not shift < 0.05:
            raise RuntimeError(f"the trial ended {done.status.state} with relative shift {shift:.2g}, not below 0.05")
    return f"20 steps of MSD, saved, resumed and reported in {time.perf_counter() - began:.1f} s; everything works"
