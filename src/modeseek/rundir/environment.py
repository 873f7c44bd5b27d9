"""What a run was made with: versions, machine, memory and source revision. No name of a host or person."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

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
    "ray",
    "tensorboard",
    "wandb",
    "trackio",
)


def package_versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Of Python and of those packages that are installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def describe_machine() -> dict[str, Any]:
    """Operating system, architecture and cores."""
    return {"system": platform.system(), "architecture": platform.machine(), "cores": available_cores()}


def describe_device(device: str) -> dict[str, Any]:
    """The device a run uses: its name, and memory where it has its own."""
    kind = torch.device(device)
    if kind.type == "cuda" and torch.cuda.is_available():
        told = torch.cuda.get_device_properties(kind)
        return {"device": device, "name": told.name, "memory_mb": told.total_memory / 2**20, "cuda": torch.version.cuda}
    return {"device": device, "threads": torch.get_num_threads()}


def source_revision() -> dict[str, Any] | None:
    """The commit that the package's source is at, and whether it was changed since; None where it is no checkout."""
    here = Path(__file__).resolve().parent
    try:
        root = Path(_git(here, "rev-parse", "--show-toplevel"))
        if not (root / "src" / "modeseek").is_dir():
            return None
        return {"commit": _git(here, "rev-parse", "HEAD"), "changed": bool(_git(root, "status", "--porcelain", "src"))}
    except (OSError, subprocess.SubprocessError):  # no git, or no checkout: then there is no revision to tell
        return None


def collect_environment(device: str, prior: dict[str, Any]) -> dict[str, Any]:
    """What `env.json` says."""
    return {
        "versions": package_versions((*PACKAGES, *EXTRAS)),
        "machine": describe_machine(),
        "device": describe_device(device),
        "git": source_revision(),
        "prior": prior,
    }


def peak_memory_mb() -> float:
    """The most main memory this process has held so far; 0 where the system does not tell."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def peak_device_memory_mb(device: str) -> float | None:
    """The most memory held on an accelerator so far; None on the CPU."""
    if torch.device(device).type != "cuda" or not torch.cuda.is_available():
        return None
    return torch.cuda.max_memory_allocated(device) / 2**20


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, errors="replace", timeout=10, check=True
    )
    return done.stdout.strip()
