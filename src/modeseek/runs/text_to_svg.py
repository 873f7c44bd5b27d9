"""Text to vector graphics in one call: the run of `modeseek svg`, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from modeseek.config.given_prior import find_prior
from modeseek.config.priors import PriorConfig
from modeseek.config.svg_config import DEFAULT_PRIOR, svg_config
from modeseek.config.vector import MAX_BYTES
from modeseek.config.vector_starts import DrawingStart
from modeseek.methods.base import Method
from modeseek.priors.pipeline import Pipeline
from modeseek.runs.image_files import enlargement
from modeseek.runs.result import SvgResult, check_options, run_to_end
from modeseek.runs.text_to_image import given_size, given_texts


def svg(
    prompts: str | Sequence[str],
    prior: str | os.PathLike[str] | Pipeline | PriorConfig | None = None,
    method: str | Method | None = None,
    *,
    paths: int | None = None,
    start: str | os.PathLike[str] | DrawingStart = "sample",
    background: str | None = None,
    bytes: int = MAX_BYTES,
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
) -> SvgResult:
    """Optimises vector drawings for text prompts; the same run as `modeseek svg` with the same options.

    Its folder has the SVG files, configuration, checkpoints, metrics, images and a report; `ms.resume(result.run)`
    continues it. Prior calls: those of the start (50 for each drawing by default), and steps x drawings x those of the
    method, twice that under guidance.

    Args:
        prompts: one prompt or several, optimised in one batch.
        prior: name of a prior that ships with modeseek, folder of a diffusers pipeline, owner/name on the hub, or a
            loaded pipeline, which is used as it is; None: emoji.
        method: name of a method, or a method such as `ms.SDS()`; None: msd.
        paths: number of filled paths of each drawing; None: 24, or those of the file that it starts from.
        start: first paths: sample (fitted to a sample of the prior), saliency (circles where the prompt matters),
            random, or an SVG file.
        background: colour behind the paths: white, learned, random (a new one in each step, against see-through
            paths), or one such as #ffcc00; None: that of the start, of the sample or the file, else white.
        bytes: largest size of an SVG file, bytes.
        steps: number of optimisation steps; None: 100 from a sample or a file, else 400.
        scale: guidance scale; 1 is none, DreamFusion's 100 is 101 here; None: default of the method under the prior.
        negative: negative prompt.
        copies: number of drawings of each prompt, from different initial noise.
        seed: random seed.
        size: side of the square images that the prior sees, or height and width, pixels; None: training size.
        device: device of the run; None: that of a loaded pipeline, else the fastest of this machine.
        out: run folder to create; None makes one in `runs/`.
        progress: whether to show progress bars on standard error; None: in a terminal and in a notebook.
        settings: any other settings as `modeseek run --set` takes them, such as "optimizer.adam.lr=0.01".
        options: other options of `modeseek.config.svg_config.svg_config`: cubics, strokes, shift, inner_steps, source,
            on_failure, film, loras, embeddings, long_prompts, optimizer, lr.

    Returns:
        The run and its drawings: `result.svg`, `result.save("owl.svg")`, `result.image`, `result.video("film.mp4")`.

    Raises:
        TypeError: an argument of a wrong type.
        ValueError: an empty prompt, an unknown name, a file that is no SVG, or values that do not fit together; one
            line.
        OSError: a file cannot be read or written.
        modeseek.runs.RunInterrupted: a stop was requested, or the disk is full; resumable.
        modeseek.runs.RunFailed: a direction is not finite, or a rendering collapsed.
    """
    check_options("ms.svg", svg_config, options)
    given = find_prior(DEFAULT_PRIOR if prior is None else prior, device)
    config = svg_config(
        given_texts(prompts),
        given.config,
        method,
        paths=paths,
        start=start,
        background=background,
        bytes=bytes,
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
    run, pixels, generator = run_to_end(config, given, "modeseek.svg", out, progress)
    height, width = pixels.shape[2:]
    factor = enlargement(height, width)
    large = generator.render_at((factor * height, factor * width))
    return SvgResult(run, pixels if large is None else torch.stack([image.cpu() for image in large]), generator)
