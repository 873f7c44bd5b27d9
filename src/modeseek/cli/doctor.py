"""`modeseek doctor`: what this machine has, whether a run works on it, and what a pipeline needs."""

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
from typing import Annotated, Literal

import torch
import tyro

from modeseek.cli.pipeline_requirements import describe_pipeline
from modeseek.config.config import CheckpointConfig, Config
from modeseek.config.generators import NoiseStart, PointsConfig
from modeseek.config.optimizers import SGDConfig
from modeseek.config.priors import PipelinePriorConfig, ToyPriorConfig
from modeseek.meanshift.bandwidth import Fixed
from modeseek.methods.msd import MSD
from modeseek.rundir.environment import PACKAGES, describe_machine, package_versions
from modeseek.runs.api import resume, run

_FOR = {
    "diffusers": "priors from diffusers pipelines",
    "torchmetrics": "FID of `modeseek paper`",
    "av": "films as MP4",
    "viser": "the live viewer",
    "ray": "sweeps over machines",
    "tensorboard": "the tracker of that name",
    "wandb": "the tracker of that name",
    "trackio": "the tracker of that name",
}
_EXTRA = {"torchmetrics": "evaluation", "av": "video", "viser": "viewer", "ray": "distributed"}


@dataclass(frozen=True)
class DoctorCommand:
    """Show versions, devices, memory and what is installed, then try a run of twenty steps and a resume.

    With --prior, tell what that pipeline needs instead, from its files alone; with --measure load it and time one
    direction. Ends with code 1 if something does not work, and says what to do.
    """

    prior: Annotated[str | None, tyro.conf.arg(metavar="FOLDER|OWNER/NAME")] = None
    """A diffusers pipeline to tell the needs of."""
    size: tuple[int, int] | None = None
    """Its height and width in pixels; what the model was trained on by default."""
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    """Of its network; bfloat16 on CUDA, else float32 by default."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """Where it shall work: cpu, cuda, cuda:1 or mps."""
    measure: bool = False
    """Load it, and time one direction from pixels."""

    def run(self, argv: Sequence[str]) -> None:
        """Prints the findings."""
        if self.prior is not None:
            source = PipelinePriorConfig(self.prior, self.size, self.dtype)
            for line in describe_pipeline(source, self.device, _free(self.device), self.measure):
                print(line)
            return
        here = describe_machine()
        print("versions   " + ", ".join(f"{name} {number}" for name, number in package_versions(PACKAGES).items()))
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


def _free(device: str) -> float:
    """Bytes that are free where the network would lie."""
    if torch.device(device).type == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(f"there is no CUDA device here: got device {device!r}; use cpu")
        return float(torch.cuda.mem_get_info(device)[0])
    if not hasattr(os, "sysconf") or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return float("inf")  # not told on this system: no advice follows
    return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _trial() -> str:
    """Runs, resumes and compares with the truth: mean shift on the ring ends on its circle."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="modeseek-doctor-") as folder:
        config = Config(
            ToyPriorConfig("ring"),
            MSD(Fixed(0.1)),
            PointsConfig(NoiseStart(16)),
            SGDConfig(),
            steps=10,
            saving=CheckpointConfig(steps=5),
            previews=0,
        )
        done = resume(run(config, Path(folder) / "trial"), steps=20)
        shift = done.metrics[-1]["relative_shift"]
        if done.status.state != "finished" or not shift < 0.05:
            raise RuntimeError(f"the trial ended {done.status.state} with relative shift {shift:.2g}, not below 0.05")
    return f"20 steps of MSD, saved, resumed and reported in {time.perf_counter() - began:.1f} s; everything works"
