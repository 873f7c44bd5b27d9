"""Edit of an image in one call: the run of `modeseek edit`, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from modeseek.config.edit_config import edit_config
from modeseek.config.given_prior import find_prior
from modeseek.config.priors import PriorConfig
from modeseek.methods.base import Method
from modeseek.priors.pipeline import Pipeline
from modeseek.rundir.edit_records import EditRecord, read_edit_records
from modeseek.runs.result import ImageResult, check_options, run_to_end
from modeseek.runs.text_to_image import given_size, given_texts


class EditResult(ImageResult):
    """Result of `ms.edit`: the run and its edited images."""

    @property
    def scores(self) -> tuple[EditRecord, ...]:
        """Scores of each edited image: distance to the source, and how well it fits both prompts."""
        return read_edit_records(self.run.path)


def edit(
    image: str | os.PathLike[str],
    prompts: str | Sequence[str],
    source: str,
    prior: str | os.PathLike[str] | Pipeline | PriorConfig | None = None,
    method: str | Method | None = None,
    generator: str | None = None,
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
) -> EditResult:
    """Edits an image by a text prompt; the same run as `modeseek edit` with the same options.

    Its folder has the source, the edited images, both side by side, scores, configuration, checkpoints, metrics and a
    report; `ms.resume(result.run)` continues it. Prior calls: steps x images x those of the method, and 32 more for
    the scores of each image.

    Args:
        image: file of the image, PNG, JPEG or WebP of any size; an SVG file is edited as a drawing.
        prompts: what the result should show; several are several edits of the image, in one batch.
        source: what the image shows.
        prior: name of a prior that ships with modeseek, folder of a diffusers pipeline, owner/name on the hub, or a
            loaded pipeline, which is used as it is; None: scenes.
        method: name of a method that compares two prompts, or such a method, as `ms.methods.DDS()`; None: dds.
        generator: latent, pixels, field (a coordinate network, fitted to the image first), or drawing, of an SVG file;
            None: latent, of an SVG file drawing.
        steps: number of optimisation steps; None: default of method and generator.
        scale: guidance scale; 1 is none; None: default of the method under the prior.
        negative: negative prompt.
        copies: number of edits of each prompt, from different noise.
        seed: random seed.
        size: side of square images, or height and width, pixels; None: training size of the model.
        device: device of the run; None: that of a loaded pipeline, else the fastest of this machine.
        out: run folder to create; None makes one in `runs/`.
        progress: whether to show progress bars on standard error; None: in a terminal and in a notebook.
        settings: any other settings as `modeseek run --set` takes them, such as "method.dds.weight=sigma-squared".
        options: other options of `modeseek.config.edit_config.edit_config`: optimizer, lr, on_failure, film, loras,
            embeddings, long_prompts.

    Returns:
        The run and its images: `result.image.save("green.png")`, `result.scores[0].distance`,
        `result.video("film.mp4")`.

    Raises:
        TypeError: an argument of a wrong type.
        ValueError: an empty prompt, no source prompt, a method that compares no prompts, or a file that is no image;
            one line.
        OSError: a file cannot be read or written.
        modeseek.runs.RunInterrupted: a stop was requested, or the disk is full; resumable.
        modeseek.runs.RunFailed: a direction is not finite, or a rendering collapsed.
    """
    if not isinstance(image, str | os.PathLike):
        raise TypeError(f"image must be the path of a file, got {type(image).__name__}; try image.save('photo.png')")
    check_options("ms.edit", edit_config, options)
    given = find_prior(prior, device)
    config = edit_config(
        image,
        given_texts(prompts),
        source,
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
    return EditResult(*run_to_end(config, given, "modeseek.edit", out, progress))
