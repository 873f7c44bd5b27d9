"""Text to image in one call: the run of `modeseek image`, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from modeseek.config.given_prior import find_prior
from modeseek.config.image_config import image_config
from modeseek.config.priors import PriorConfig
from modeseek.methods.base import Method
from modeseek.priors.pipeline import Pipeline
from modeseek.runs.result import ImageResult, check_options, run_to_end


def image(
    prompts: str | Sequence[str],
    prior: str | os.PathLike[str] | Pipeline | PriorConfig | None = None,
    method: str | Method | None = None,
    generator: str = "field",
    *,
    steps: int | None = None,
    scale: float | None = None,
    negative: str = "",
    copies: int = 1,
    seed: int = 0,
    size: int | tuple[int, int] | None = None,
    device: str | torch.device | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    settings: Iterable[str] = (),
    **options: Any,
) -> ImageResult:
    """Optimises images for text prompts; the same run as `modeseek image` with the same options.

    Its folder has the configuration, checkpoints, metrics, images and a report; `ms.resume(result.run)` continues it.
    Prior calls: steps x images x those of the method, twice that under guidance.

    Args:
        prompts: one prompt or several, optimised in one batch.
        prior: name of a prior that ships with modeseek, folder of a diffusers pipeline, owner/name on the hub, or a
            loaded pipeline, which is used as it is; None: scenes.
        method: name of a method, or a method such as `ms.SDS()`; None: msd.
        generator: field (coordinate network), pixels or latent.
        steps: number of optimisation steps; None: 100 with inner steps and for latents under msd, else 400.
        scale: guidance scale; 1 is none, DreamFusion's 100 is 101 here; None: default of the method under the prior.
        negative: negative prompt.
        copies: number of images of each prompt, from different initial noise.
        seed: random seed.
        size: side of square images, or height and width, pixels; None: training size of the model.
        device: device of the run; None: that of a loaded pipeline, else the fastest of this machine.
        out: run folder to create; None makes one in `runs/`.
        progress: whether to show progress bars on standard error; None: in a terminal and in a notebook.
        settings: any other settings as `modeseek run --set` takes them, such as "optimizer.adam.lr=0.01".
        options: other options of `modeseek.config.image_config.image_config`: shift, inner_steps, source, on_failure,
            film, loras, embeddings, long_prompts.

    Returns:
        The run and its images: `result.image.save("cone.png")`, `result.images`, `result.video("film.mp4")`.

    Raises:
        TypeError: an argument of a wrong type.
        ValueError: an empty prompt, an unknown name, or values that do not fit together; one line.
        OSError: a file cannot be read or written.
        modeseek.runs.RunInterrupted: a stop was requested, or the disk is full; resumable.
        modeseek.runs.RunFailed: a direction is not finite, or a rendering collapsed.
    """
    check_options("ms.image", image_config, options)
    given = find_prior(prior, device)
    config = image_config(
        given_texts(prompts),
        given.config,
        method,
        generator,
        steps=steps,
        scale=scale,
        negative=negative,
        copies=copies,
        seed=seed,
        size=given_size(size, given.loaded is not None),
        device=given.device,
        settings=settings,
        **options,
    )
    return ImageResult(*run_to_end(config, given, "modeseek.image", out, progress))


def given_texts(prompts: object) -> Sequence[str]:
    """Returns prompts as a list; TypeError for what is neither a text nor a list of texts."""
    texts = [prompts] if isinstance(prompts, str) else prompts
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise TypeError(
            f"prompts must be text or a list of texts, got {prompts!r:.80}; try 'a red cone on a blue cube'"
        )
    return texts


def given_size(size: int | tuple[int, int] | None, loaded: bool) -> tuple[int, int] | None:
    """Returns a size as height and width; ValueError where the pipeline is loaded, which has its size."""
    if size is not None and loaded:
        raise ValueError(f"size must be set where the pipeline is loaded, got {size}; try ms.Pipeline.load(..., size=)")
    return (size, size) if isinstance(size, int) else size
