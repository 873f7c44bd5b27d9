"""Restoration of an image in one call: the run of `modeseek restore`, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from modeseek.config.given_prior import find_prior
from modeseek.config.measurement import OperatorName
from modeseek.config.priors import PriorConfig
from modeseek.config.restore_config import restore_config
from modeseek.priors.pipeline import Pipeline
from modeseek.rundir.restoration_records import RestorationRecord, read_restoration_records
from modeseek.runs.result import ImageResult, check_options, run_to_end
from modeseek.runs.text_to_image import given_size, given_texts


class RestoreResult(ImageResult):
    """Result of `ms.restore`: the run and its restored images."""

    @property
    def scores(self) -> tuple[RestorationRecord, ...]:
        """Scores of each restored image: distance to the data, and to the truth where it is known."""
        return read_restoration_records(self.run.path)


def restore(
    image: str | os.PathLike[str],
    prompts: str | Sequence[str],
    operator: OperatorName = "inpaint",
    prior: str | os.PathLike[str] | Pipeline | PriorConfig | None = None,
    generator: str | None = None,
    *,
    noise: float = 0.05,
    mask: str | os.PathLike[str] | None = None,
    factor: int = 4,
    sigma: float = 1.5,
    kernel: str | os.PathLike[str] | None = None,
    degrade: bool = False,
    steps: int | None = None,
    scale: float | None = None,
    copies: int = 1,
    seed: int = 0,
    size: int | tuple[int, int] | None = None,
    device: str | torch.device | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    settings: Iterable[str] = (),
    **options: Any,
) -> RestoreResult:
    """Restores an image by the mode of the posterior under a prior; the same run as `modeseek restore`.

    Its folder has the degraded image, the restored ones, differences, scores, configuration, checkpoints, metrics and a
    report; `ms.resume(result.run)` continues it. Prior calls: steps x images, twice that under guidance.

    Args:
        image: file of the degraded image, PNG, JPEG or WebP; with `degrade` of a clean one, which is degraded first.
        prompts: what the image shows; several are several restorations of it, in one batch.
        operator: what degraded it: inpaint, blur or downsample.
        prior: name of a prior that ships with modeseek, folder of a diffusers pipeline, owner/name on the hub, or a
            loaded pipeline, which is used as it is; None: scenes.
        generator: latent, pixels, field (a coordinate network) or drawing; None: latent.
        noise: standard deviation of the noise of the data, pixels in [0, 1], >= 0; 0 keeps the data.
        mask: file of an image that is white where the image is missing; for inpaint.
        factor: factor of downsample.
        sigma: standard deviation of the Gaussian of blur, pixels.
        kernel: file of an image of the kernel of blur; None is the Gaussian.
        degrade: whether to degrade the image first, and to score the result against it.
        steps: number of optimisation steps; None: 50 for latents, else the default of `ms.image`.
        scale: guidance scale; None: 1, none.
        copies: number of restorations of each prompt, from different noise.
        seed: random seed.
        size: side of square images, or height and width, pixels; None: training size of the model.
        device: device of the run; None: that of a loaded pipeline, else the fastest of this machine.
        out: run folder to create; None makes one in `runs/`.
        progress: whether to show progress bars on standard error; None: in a terminal and in a notebook.
        settings: any other settings as `modeseek run --set` takes them.
        options: other options of `modeseek.config.restore_config.restore_config`: negative, on_failure, film, loras,
            embeddings, long_prompts.

    Returns:
        The run and its images: `result.image.save("whole.png")`, `result.scores[0].psnr`.

    Raises:
        TypeError: an argument of a wrong type.
        ValueError: an empty prompt, or a mask, factor, kernel or noise that does not fit; one line.
        OSError: a file cannot be read or written.
        modeseek.runs.RunInterrupted: a stop was requested, or the disk is full; resumable.
        modeseek.runs.RunFailed: a direction is not finite, or a rendering collapsed.
    """
    if not isinstance(image, str | os.PathLike):
        raise TypeError(f"image must be the path of a file, got {type(image).__name__}; try image.save('photo.png')")
    check_options("ms.restore", restore_config, options)
    given = find_prior(prior, device)
    config = restore_config(
        image,
        given_texts(prompts),
        operator,
        given.config,
        generator,
        noise=noise,
        mask=mask,
        factor=factor,
        sigma=sigma,
        kernel=kernel,
        degrade=degrade,
        steps=steps,
        scale=scale,
        copies=copies,
        seed=seed,
        size=given_size(size, given.loaded is not None),
        device=given.device,
        settings=settings,
        **options,
    )
    return RestoreResult(*run_to_end(config, given, "modeseek.restore", out, progress))
