"""Painting of a given mesh in one call: the run of `modeseek paint`, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, cast

import torch

from modeseek.config.given_prior import find_prior
from modeseek.config.paint_config import paint_config
from modeseek.config.painted import TextureKind
from modeseek.config.priors import PriorConfig
from modeseek.generators.ensemble import Ensemble
from modeseek.generators.generator3d import Generator3D
from modeseek.methods.base import Method
from modeseek.priors.pipeline import Pipeline
from modeseek.runs.result import ShapeResult, check_options, run_to_end


def paint(
    mesh: str | os.PathLike[str],
    prompt: str,
    prior: str | os.PathLike[str] | Pipeline | PriorConfig | None = None,
    method: str | Method | None = None,
    texture: TextureKind = "field",
    *,
    steps: int | None = None,
    cameras: int = 4,
    scale: float | None = None,
    negative: str = "",
    seed: int = 0,
    size: int | None = None,
    device: str | torch.device | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    settings: Iterable[str] = (),
    **options: Any,
) -> ShapeResult:
    """Optimises the texture of a given mesh for a text prompt; the same run as `modeseek paint` with the same options.

    Its folder has the configuration, checkpoints, metrics, the textured mesh, a turntable and a report;
    `ms.resume(result.run)` continues it. Prior calls: steps x cameras x those of the method, twice that under guidance.

    Args:
        mesh: .obj, .ply, .glb or .stl file.
        prompt: text prompt of the painted object.
        prior: name of a prior that ships with modeseek, renders (the exact prior of ground-truth renders of the
            prompt), folder of a diffusers pipeline, owner/name on the hub, or a loaded pipeline, which is used as it
            is; None: scenes.
        method: name of a method, or a method such as `ms.SDS()`; None: msd.
        texture: field (network with Fourier features), hash (network of hash grids) or atlas (texels).
        steps: number of optimisation steps; None: 100 with inner steps, else 300.
        cameras: number of views per step.
        scale: guidance scale; 1 is none; None: default of the method under the prior.
        negative: negative prompt.
        seed: random seed.
        size: side of the rendered images, pixels; None: input size of the prior.
        device: device of the run; None: that of a loaded pipeline, else the fastest of this machine.
        out: run folder to create; None makes one in `runs/`.
        progress: whether to show progress bars on standard error; None: in a terminal and in a notebook.
        settings: any other settings as `modeseek run --set` takes them.
        options: other options of `modeseek.config.paint_config.paint_config`: up, faces, background, views, perp_neg,
            particles, photographs, shift, inner_steps, source, film, loras, embeddings, long_prompts, optimizer, lr.

    Returns:
        The run and its mesh: `result.mesh().save("cone.glb", texture=1024)`, `result.turntable("cone.mp4")`,
        `result.image`.

    Raises:
        TypeError: an argument of a wrong type.
        ValueError: a file that is no mesh, an empty prompt, an unknown name, or values that do not fit together; one
            line.
        OSError: a file cannot be read or written.
        modeseek.runs.RunInterrupted: a stop was requested, or the disk is full; resumable.
        modeseek.runs.RunFailed: a direction is not finite, or a rendering collapsed.
    """
    if not isinstance(mesh, str | os.PathLike):
        raise TypeError(f"the mesh must be a path, got {mesh!r:.80}; try ms.save_mesh(mesh, 'mesh.glb') first")
    if not isinstance(prompt, str):
        raise TypeError(f"the prompt must be one text, got {prompt!r:.80}; try 'a red cone on a blue cube'")
    check_options("ms.paint", paint_config, options)
    given = find_prior(prior, device)
    config = paint_config(
        mesh,
        prompt,
        given.config,
        method,
        texture,
        steps=steps,
        cameras=cameras,
        scale=scale,
        negative=negative,
        seed=seed,
        size=size,
        device=given.device,
        settings=settings,
        **options,
    )
    run, pixels, generator = run_to_end(config, given, "modeseek.paint", out, progress)
    return ShapeResult(run, pixels, cast("Generator3D | Ensemble", generator))
