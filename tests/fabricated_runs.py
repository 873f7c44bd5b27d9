"""Fabricated run folders, written without running, for tests of code that reads runs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from modeseek.config.config import read_config
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status

MSD = {"msd": {"bandwidth": {"adaptive": {"end": 0.1}}}}
ENVIRONMENT = {
    "versions": {"python": "3.11.7", "modeseek": "0.1.0", "torch": "2.13.0"},
    "machine": {"system": "Linux", "architecture": "x86_64", "cores": 2},
    "device": {"device": "cpu", "threads": 1},
    "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "changed": False},
    "prior": {"title": "ring", "sha256": "ab" * 32},
}


def fabricate(
    path: Path,
    *,
    method: Any = MSD,
    steps: int = 400,
    done: int | None = None,
    n_previews: int = 12,
    video: bool = True,
    environment: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **settings: Any,
) -> Run:
    """A run with `done` of `steps` steps completed, with metrics as its method would have logged them."""
    done = steps if done is None else done
    plain = {"prior": {"problem": {"name": "ring"}}, "method": method, "steps": steps, "seed": 0, **settings}
    config = read_config(plain)
    values: dict[str, Any] = {
        "state": "finished" if done == steps else "stopped",
        "reason": "" if done == steps else f"asked to stop after step {done}",
        "step": done,
        "steps": steps,
        "checkpoint": done or None,
        "seconds": 0.01 * done,
        "calls": 256 * done,
        "peak_memory_mb": 512.0,
        "sessions": 1,
    }
    run = Run.create(
        {"verb": "run", **config.to_dict()},
        name_parts=["fabricated"],
        command=["modeseek", "run", "--name", "a b"],
        prior={},
        out=path,
    )
    env = ENVIRONMENT if environment is None else environment
    (run.path / "env.json").write_text(json.dumps(env))
    Status(**(values | (status or {}))).write(run.path)
    rows = [_row(index, config.method_name) for index in range(done)]
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (run.path / "log.txt").write_text("".join(f"line {i}\n" for i in range(30)), encoding="utf-8")
    shown = [round(i * done / max(1, n_previews - 1)) for i in range(n_previews)]
    for step in shown:
        scatter(step / max(1, steps)).save(run.path / "previews" / f"step-{step:08d}.png")
    if video and len(shown) > 1:
        first, *others = [scatter(step / steps).convert("P") for step in shown]
        first.save(run.path / "media" / "optimisation.gif", save_all=True, append_images=others, duration=100, loop=0)
    return run


def scatter(share: float, side: int = 320) -> Image.Image:
    """Image of points that have moved by `share` from a grid to eight points on a ring."""
    image = Image.new("RGB", (side, side), (247, 248, 250))
    pen = ImageDraw.Draw(image)
    for i in range(12):
        for j in range(12):
            x, y = (i - 5.5) / 6, (j - 5.5) / 6
            angle = round(math.atan2(y, x) / (math.pi / 4)) * math.pi / 4
            rest = (1 - share) ** 3
            u = rest * x + (1 - rest) * 0.7 * math.cos(angle)
            v = rest * y + (1 - rest) * 0.7 * math.sin(angle)
            center = (side / 2 * (1 + u), side / 2 * (1 - v))
            pen.ellipse((center[0] - 3, center[1] - 3, center[0] + 3, center[1] + 3), fill=(214, 69, 20))
    return image


def _row(index: int, method: str) -> dict[str, Any]:
    wobble = math.sin(12.9898 * index) * 43758.5453
    noise = wobble - math.floor(wobble)  # in [0, 1), the same every time
    row: dict[str, Any] = {
        "step": index,
        "seconds": 0.01 * (index + 1),
        "calls": 256 * (index + 1),
        "direction_norm": 0.4 + math.exp(-index / 60) + 0.2 * noise,
        "lr": 0.01,
        "memory_mb": 500 + 0.02 * index,
    }
    if method == "msd":
        h = max(0.1, 1.5 * math.exp(-index / 80))
        row |= {
            "bandwidth": h,
            "relative_shift": 0.5 * math.exp(-index / 25),
            "direction_norm": h * math.exp(-index / 25),
        }
    else:
        row["t"] = 0.02 + 0.96 * noise
    return row
