"""Parts of `gpu.py`: steps of text to 3-D, and renderers of drawings and splats, forward and backward."""

from __future__ import annotations

import importlib
import importlib.util
import math
import tempfile
from pathlib import Path
from typing import Any

import torch
from _gpu_measure import measure
from _pipelines import SHAPES, TEXT, full_size_pipeline, tiny_pipeline

import modeseek as ms
from modeseek.generators import Dense, Fourier, HashGrid, NeRF, Triplane
from modeseek.generators.splats import Ball, Splats
from modeseek.generators.vector.drawing import Drawing

VOLUMES = {"dense": lambda rng: Dense(), "triplane": Triplane, "fourier": Fourier, "hash": HashGrid}


def text_to_3d(device: str, quick: bool) -> dict[str, Any]:
    """Returns steps of SDS per second and memory, by volume and side of the images; the prior is as SD 1.5."""
    sides = (16,) if quick else (64, 128, 256, 512)
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        prior = tiny_pipeline(place, 16, device) if quick else full_size_pipeline(SHAPES["sd-1.5"], place, 512, device)
    conditions = prior.conditions([TEXT])
    for name, make in VOLUMES.items():
        for side in sides:
            nerf = NeRF(make(torch.Generator().manual_seed(0)), size=side, samples=4 if quick else 48).to(device)
            optimizer = torch.optim.Adam(nerf.parameters(), lr=1e-3)
            options: dict[str, Any] = {"steps": 10_000, "batch": 1, "conditions": conditions, "rng": 0}
            steps = ms.distill(nerf, ms.Guided(prior, 7.5), ms.SDS(), optimizer, **options)
            row = measure(lambda steps=steps: next(steps), device, 0.0 if quick else 2.0, 2 if quick else 50)
            steps.close()
            rows[f"{name}, {side} px"] = row | {
                "steps_per_second": None if row["seconds"] is None else 1 / row["seconds"]
            }
            del nerf, optimizer
    return rows


def drawings(device: str, quick: bool) -> dict[str, Any]:
    """Returns seconds of one rendering with its gradient, by paths and side."""
    cases = {(4, 16)} if quick else {(32, 64), (64, 256), (256, 512)}
    return {
        f"{paths} paths, {side} px": _rendered(
            Drawing(1, (side, side), paths, rng=0, like=torch.empty(0, device=device)), device, quick
        )
        for paths, side in sorted(cases)
    }


def splats(device: str, quick: bool) -> dict[str, Any]:
    """Returns seconds of four views with their gradient, ours and, where it is installed, gsplat's of the same ones."""
    cases = {(50, 16)} if quick else {(2_000, 64), (10_000, 256), (100_000, 512)}
    rows: dict[str, Any] = {}
    for n, side in sorted(cases):
        made = Splats(n, Ball(0.5, 0.1), rng=ms.Streams(0), size=side).to(device)
        rows[f"{n} splats, {side} px"] = _rendered(made, device, quick, views=4)
        if device == "cuda" and importlib.util.find_spec("gsplat"):
            rows[f"{n} splats, {side} px, gsplat"] = measure(_gsplat_step(made, side), device)
    if not importlib.util.find_spec("gsplat"):
        rows["gsplat"] = "not installed"
    return rows


def _rendered(generator: Any, device: str, quick: bool, views: int = 1) -> dict[str, Any]:
    view = generator.view(views, ms.Streams(0))
    parameters = [p for p in generator.parameters() if p.requires_grad]

    def step() -> None:
        rendering = generator(view)
        image = rendering if isinstance(rendering, torch.Tensor) else rendering.image
        torch.autograd.grad(image.square().sum(), parameters, allow_unused=True)

    return measure(step, device, 0.0 if quick else 2.0, 2 if quick else 100)


def _gsplat_step(made: Splats, side: int) -> Any:
    gsplat = importlib.import_module("gsplat")
    cameras = made.view(4, ms.Streams(0)).cameras.to(made.means)
    position, right, up, forward = cameras.frame
    rotation = torch.stack([right, -up, forward], 1)  # world to camera: x right, y down, z forward
    world = torch.eye(4, device=position.device).repeat(len(position), 1, 1)
    world[:, :3, :3], world[:, :3, 3] = rotation, -(rotation @ position[..., None])[..., 0]
    focal = 0.5 * side / torch.tan(cameras.fov * (math.pi / 360))
    lens = torch.zeros(len(position), 3, 3, device=position.device)
    lens[:, 0, 0], lens[:, 1, 1], lens[:, 2, 2] = focal, focal, 1.0
    lens[:, :2, 2] = side / 2
    parameters = [made.means, made.quats, made.log_scales, made.logits, made.colors]

    def step() -> None:
        image, _, _ = gsplat.rasterization(
            made.means, made.quats, made.log_scales.exp(), made.logits.sigmoid(), made.colors.sigmoid(), world, lens,
            side, side,
        )  # fmt: skip
        torch.autograd.grad(image.square().sum(), parameters)

    return step
