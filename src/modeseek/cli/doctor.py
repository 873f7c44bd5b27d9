"""`modeseek doctor`: versions and devices of this machine, a trial run, and memory requirements of a pipeline."""

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
from modeseek.config.generators import PointsConfig
from modeseek.config.optimizers import SGDConfig
from modeseek.config.priors import PipelinePriorConfig, ToyPriorConfig
from modeseek.config.starts import NoiseStart
from modeseek.device import AUTO, resolve_device
from modeseek.io.errors import one_line
from modeseek.meanshift.bandwidth import Fixed
from modeseek.methods.msd import MSD
from modeseek.rundir.environment import PACKAGES, describe_machine, package_versions
from modeseek.runs.api import resume, run

_PURPOSES = {
    "diffusers": "priors from diffusers pipelines",
    "torchmetrics": "FID in `modeseek paper`",
    "av": "MP4 films",
    "xatlas": "textures of meshes",
    "viser": "the live viewer",
    "resvg-py": "the exam of emoji, and SVG files rendered",
    "svgelements": "SVG files as starts of drawings",
    "ray": "distributed sweeps",
    "tensorboard": "experiment tracking",
    "wandb": "experiment tracking",
    "trackio": "experiment tracking",
}
_EXTRAS = {
    "torchmetrics": "evaluation",
    "xatlas": "mesh",
    "viser": "viewer",
    "ray": "distributed",
    "resvg-py": "vector",
    "svgelements": "vector",
}


@dataclass(frozen=True)
class DoctorCommand:
    """Show versions, devices, memory and optional packages, then try a run of twenty steps with a resume.

    With --prior, check a pipeline instead, from its files alone (every key of its weights, tokenizers, scheduler and
    configurations), and show its memory requirements; with --measure load it and time one guided SDS direction. Exit
    code 1 if the trial run fails.
    """

    prior: Annotated[str | None, tyro.conf.arg(metavar="scenes|emoji|FOLDER|FILE|OWNER/NAME")] = None
    """Pipeline to check and whose memory requirements to show: scenes or emoji, which ship with modeseek, a folder, a
    single-file checkpoint, or owner/name on the hub."""
    config: Annotated[str | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder of the configurations of a single-file checkpoint; default the one beside it."""
    size: tuple[int, int] | None = None
    """Image height and width, pixels; default: the training size of the model."""
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    """Precision of the network; default bfloat16 on CUDA, else float32."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = AUTO
    """Device of the pipeline: auto (cuda, else mps, else cpu), cpu, cuda, cuda:1 or mps."""
    measure: bool = False
    """Measurement: load the pipeline and time one guided SDS direction from pixels."""

    def run(self, argv: Sequence[str]) -> None:
        """Prints the findings."""
        if self.prior is not None:
            device = str(resolve_device(self.device))
            source = PipelinePriorConfig(self.prior, self.size, self.dtype, config=self.config)
            for line in describe_pipeline(source, device, _free(device), self.measure):
                print(line)
            return
        host = describe_machine()
        print("versions   " + ", ".join(f"{name} {number}" for name, number in package_versions(PACKAGES).items()))
        print(f"machine    {host['system']} {host['architecture']}, {host['cores']} cores, {_memory()}")
        for line in _devices():
            print(f"device     {line}")
        print(f"disk       {shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB free here")
        for name, purpose in _PURPOSES.items():
            print(f"extra      {name}: {_installed(name)} ({purpose})")
        try:
            print(f"trial      {_trial()}")
        except (OSError, RuntimeError, ValueError) as error:
            print(f"trial      failed: {one_line(error)}")
            print("modeseek: the trial run failed", file=sys.stderr)
            sys.exit(1)


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return f"not installed; pip install 'modeseek[{_EXTRAS.get(name, name)}]'"


def _devices() -> Iterator[str]:
    yield f"cpu, {torch.get_num_threads()} threads"
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        yield f"cuda:{index}, {properties.name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    if torch.backends.mps.is_available():
        yield "mps"


def _memory() -> str:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return "memory unknown"
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB of memory"


def _free(device: str) -> float:
    """Free memory of a device, bytes; infinite where the system does not report it."""
    if torch.device(device).type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if not hasattr(os, "sysconf") or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return float("inf")  # unknown on this system: no advice follows
    return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _trial() -> str:
    """Runs and resumes mean shift on the ring, and checks that the points converge to its modes."""
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
        trial = resume(run(config, Path(folder) / "trial"), steps=20)
        shift = trial.metrics[-1]["relative_shift"]
        if trial.status.state != "finished" or not shift < 0.05:
            raise RuntimeError(f"the trial ended {trial.status.state} with relative shift {shift:.2g}, not below 0.05")
    return f"20 steps of MSD, saved, resumed and reported in {time.perf_counter() - began:.1f} s; everything works"
