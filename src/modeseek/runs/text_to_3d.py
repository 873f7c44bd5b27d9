"""Text to 3D in one call: the run of `modeseek shape`, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, cast

import torch

from modeseek.config.generators3d import VolumeKind
from modeseek.config.given_prior import find_prior
from modeseek.config.priors import PriorConfig
from modeseek.config.shape_config import shape_config
from modeseek.generators.ensemble import Ensemble
from modeseek.generators.generator3d import Generator3D
from modeseek.methods.base import Method
from modeseek.priors.pipeline import Pipeline
from modeseek.runs.result import ShapeResult, check_options, run_to_end


def shape(
    prompt: str,
    prior: str | os.PathLike[str] | Pipeline | PriorConfig | None = None,
    method: str | Method | None = None,
    volume: VolumeKind = "dense",
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
    """Optimises a NeRF for a text prompt; the same run as `modeseek shape` with the same options.

    Its folder has the configuration, checkpoints, metrics, mesh, turntable and a report; `ms.resume(result.run)`
    continues it. Prior calls: steps x cameras x those of the method, twice that under guidance.

    Args:
        prompt: text prompt of the 3D shape.
        prior: name of a prior that ships with modeseek, renders (the exact prior of ground-truth renders of the
            prompt), folder of a diffusers pipeline, owner/name on the hub, or a loaded pipeline, which is used as it
            is; None: scenes.
        method: name of a method, or a method such as `ms.SDS()`; None: msd.
        volume: dense, triplane, fourier or hash.
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
        options: other options of `modeseek.config.shape_config.shape_config`: views, perp_neg, particles,
            photographs (`["front.png=0", "right.png=90,15"]`), shift, inner_steps, source, film, loras, embeddings,
            long_prompts.

    Returns:
        The run and its shape: `result.mesh(128).save("cone.glb")`, `result.turntable("cone.mp4")`, `result.image`.

    Raises:
        TypeError: an argument of a wrong type.
        ValueError: an empty prompt, an unknown name, or values that do not fit together; one line.
        OSError: a file cannot be read or written.
        modeseek.runs.RunInterrupted: a stop was requested, or the disk is full; resumable.
        modeseek.runs.RunFailed: a direction is not finite, or a rendering collapsed.
    """
    if not isinstance(prompt, str):
        raise TypeError(f"the prompt must be one text, got {prompt!r:.80}; try 'a red cone on a blue cube'")
    check_options("ms.shape", shape_config, options)
    given = find_prior(prior, device)
    config = shape_config(
        prompt,
        given.config,
        method,
        volume,
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
    run, pixels, generator = run_to_end(config, given, "modeseek.shape", out, progress)
    return ShapeResult(run, pixels, cast("Generator3D | Ensemble", generator))
