"""Check of a built wheel from inside the clean environment that it was installed into: `python check_wheel.py WHEEL`.

The wheel must be at most 60 MB and hold both bundled priors, LICENSE and NOTICE, and nothing but the package; then both
priors are loaded from the environment and each draws one image.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

LARGEST = 60e6  # bytes
REQUIRED = (
    "modeseek/data/scenes/SHA256SUMS",
    "modeseek/data/emoji/SHA256SUMS",
    "modeseek/data/judge/SHA256SUMS",
    "/licenses/LICENSE",
    "/licenses/NOTICE",
)


def check_contents(wheel: Path) -> str:
    """Checks size and names of the files of a wheel, and returns a line on them.

    Raises:
        ValueError: the wheel is too large, lacks a file, or holds one that is not of the package.
    """
    size = wheel.stat().st_size
    if size > LARGEST:
        raise ValueError(
            f"the wheel must be at most {LARGEST / 1e6:.0f} MB, got {size / 1e6:.1f} MB; ship smaller weights"
        )
    names = zipfile.ZipFile(wheel).namelist()
    missing = [name for name in REQUIRED if not any(other.endswith(name) for other in names)]
    if missing:
        raise ValueError(f"the wheel must hold {', '.join(missing)}, got none; see pyproject.toml")
    foreign = [name for name in names if not name.startswith(("modeseek/", "modeseek-"))]
    if foreign:
        raise ValueError(f"the wheel must hold the package alone, got {foreign[0]} too; see pyproject.toml")
    return f"{wheel.name}: {size / 1e6:.1f} MB, {len(names)} files"


def draw_one(name: str, prompt: str) -> str:
    """Loads a bundled prior, draws one image and returns a line on it."""
    import torch

    import modeseek as ms

    prior = ms.bundled(name, cache=None)
    with torch.no_grad():
        z = prior.start(1, torch.Generator().manual_seed(0))
        z = ms.ddim(ms.Guided(prior, 3.0), z, prior.grid(10), prior.conditions([prompt]))
        image = prior.codec.decode(z)
    height, width = image.shape[-2:]
    return f'ms.bundled("{name}") drew {prompt!r}, {height} x {width}, on {prior.device}, from {ms.__file__}'


if __name__ == "__main__":
    print(check_contents(Path(sys.argv[1])))
    print(draw_one("scenes", "a red cone on a blue cube"))
    print(draw_one("emoji", "an owl"))
