"""Environment of a run: versions, machine, memory and source revision, without host or user names."""

from __future__ import annotations

import functools
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from modeseek.device import AUTO
from modeseek.io.thread_pool import available_cores

PACKAGES = ("modeseek", "torch", "numpy", "safetensors", "scikit-learn", "matplotlib", "pillow")
EXTRAS = (
    "diffusers",
    "transformers",
    "accelerate",
    "peft",
    "torchmetrics",
    "av",
    "viser",
    "resvg-py",
    "svgelements",
    "defusedxml",
    "ray",
    "tensorboard",
    "wandb",
    "trackio",
)


def package_versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Versions of Python and of those packages that are installed."""
    found = {name: _installed_version(name) for name in packages}
    return {"python": platform.python_version()} | {name: number for name, number in found.items() if number}


def describe_machine() -> dict[str, Any]:
    """Operating system, architecture and number of cores."""
    return {"system": platform.system(), "architecture": platform.machine(), "cores": available_cores()}


def describe_device(device: str) -> dict[str, Any]:
    """Device of a run: name, memory and CUDA version of a GPU, number of threads of a CPU."""
    if device == AUTO:  # of a run whose prior could not be loaded
        return {"device": device, "threads": torch.get_num_threads()}
    kind = torch.device(device)
    if kind.type == "cuda" and torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(kind)
        return {"device": device, "name": gpu.name, "memory_mb": gpu.total_memory / 2**20, "cuda": torch.version.cuda}
    return {"device": device, "threads": torch.get_num_threads()}


@functools.cache
def source_revision() -> dict[str, Any] | None:
    """Git commit of the package's source and whether it has uncommitted changes; None outside a checkout.

    It is looked up once: the source that a process imported stays the same, whatever is committed since.
    """
    folder = Path(__file__).resolve().parent
    try:
        root = Path(_git(folder, "rev-parse", "--show-toplevel"))
        if not (root / "src" / "modeseek").is_dir():
            return None
        return {
            "commit": _git(folder, "rev-parse", "HEAD"),
            "changed": bool(_git(root, "status", "--porcelain", "src")),
        }
    except (OSError, subprocess.SubprocessError):  # no git, or no checkout
        return None


def collect_environment(device: str, prior: dict[str, Any]) -> dict[str, Any]:
    """Contents of `env.json`."""
    return {
        "versions": package_versions((*PACKAGES, *EXTRAS)),
        "machine": describe_machine(),
        "device": describe_device(device),
        "git": source_revision(),
        "prior": prior,
    }


def peak_memory_mb() -> float:
    """Peak main memory of this process, MiB; 0 where the system does not report it."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def peak_device_memory_mb(device: str) -> float | None:
    """Peak memory allocated on a CUDA device, MiB; None on the CPU."""
    if torch.device(device).type != "cuda" or not torch.cuda.is_available():
        return None
    return torch.cuda.max_memory_allocated(device) / 2**20


@functools.cache
def _installed_version(package: str) -> str:
    """Version of a package; empty if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _git(folder: Path, *args: str) -> str:
    process = subprocess.run(
        ["git", *args], cwd=folder, capture_output=True, text=True, errors="replace", timeout=10, check=True
    )
    return process.stdout.strip()
