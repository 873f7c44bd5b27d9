"""Sample grids and loss curves of a training as PNG images."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modeseek.priors.guidance import Guided
from modeseek.priors.pipeline import Pipeline
from modeseek.reports.contact_sheet import ContactSheet, Tile
from modeseek.sampling.samplers import ddim
from tools.bundled_priors.recipe import PriorName

CAPTIONS: dict[PriorName, tuple[str, ...]] = {
    "scenes": (
        "a red cone on a blue cube",
        "a green sphere",
        "a yellow torus, overhead view",
        "a purple cylinder beside an orange cone",
        "a green cube with a white face, front view",
        "a green cube with a white face, from 45 degrees left, slightly above",
        "a blue robot head, side view",
        "a blue robot head, back view",
        "a red mug",
        "a pink house, from 30 degrees right, above",
        "an orange snowman beside a green tree",
        "a large purple mushroom",
        "a small black duck on a yellow table",
        "a red car, side view",
        "a blue rocket behind a pink sphere",
        "a black chair, back view",
    ),
    "emoji": (
        "red apple",
        "an owl",
        "grinning face",
        "umbrella",
        "cactus",
        "guitar",
        "pizza",
        "robot",
        "fire engine",
        "tropical fish",
        "red heart",
        "house with garden",
        "an owl, flat emoji",
        "an owl, shaded emoji",
        "mushroom, on a pale blue background",
        "rocket, on a black background",
    ),
}


@torch.no_grad()
def draw_samples(folder: Path, captions: Sequence[str], scale: float, steps: int, seed: int, device: str) -> Tensor:
    """Guided DDIM samples of captions from a pipeline folder, (n, 3, h, w) in [0, 1], from one noise stream."""
    prior = Pipeline.load(folder, device=device, dtype=torch.float32, cache=None)
    rng = torch.Generator().manual_seed(seed)
    guided = Guided(prior, scale)
    z = prior.start(len(captions), rng=rng)
    z = ddim(guided, z.to(device), prior.grid(steps).to(device), prior.conditions(list(captions)))
    return prior.codec.decode(z).float().clamp(0, 1).cpu()


def grid_png(images: Tensor) -> bytes:
    """PNG of images (n, 3, h, w) in rows of four, enlarged three times."""
    return ContactSheet.grid([Tile(image) for image in images], 4, side=3 * images.shape[-1], gap=6).png()


def curves_png(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """PNG of the autoencoder's PSNR and the denoiser's loss over hours."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    panels = ((left, ("psnr",), "PSNR of held-out images, dB"), (right, ("loss", "held_out"), "error of v"))
    for axes, keys, title in panels:
        stage = "autoencoder" if "psnr" in keys else "network"
        for key in keys:
            points = [(row["seconds"] / 3600, row[key]) for row in rows if row["stage"] == stage and key in row]
            if points:
                axes.plot(*zip(*points, strict=True), label=key.replace("_", " "), lw=1)
        axes.set(title=title, xlabel="hours")
    right.set_yscale("log")
    if right.lines:
        right.legend(frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()
