"""Configuration of a restoration of an image from a few options: that of `modeseek restore` and `modeseek.restore`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from modeseek.config.config import Config, Tracker
from modeseek.config.defaults import DEFAULT_PRIOR, configure
from modeseek.config.image_config import image_config
from modeseek.config.measurement import MeasurementConfig, OperatorName
from modeseek.config.priors import PriorConfig
from modeseek.device import AUTO
from modeseek.io.image_files import check_image_file
from modeseek.io.paths import absolute_path
from modeseek.io.video import Film
from modeseek.priors.pipeline.text_encoding import LongPrompts

DEFAULT_SCALE = 1.0  # the data say what the image shows; guidance would move it away from them
_STEPS = {"latent": 50}


def restore_config(
    image: str | os.PathLike[str],
    prompts: Sequence[str] = (),
    operator: OperatorName = "inpaint",
    prior: str | PriorConfig = DEFAULT_PRIOR,
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
    negative: str = "",
    copies: int = 1,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    device: str = AUTO,
    on_failure: Literal["stop", "rollback"] = "stop",
    loras: Sequence[str] = (),
    embeddings: Sequence[str] = (),
    long_prompts: LongPrompts = "cut",
    film: Film = "auto",
    trackers: Sequence[Tracker] = (),
    settings: Iterable[str] = (),
) -> Config:
    """Returns the configuration that restores an image, once for each prompt and copy, all in one batch.

    Args:
        image: file of the degraded image, PNG, JPEG or WebP; with `degrade` of a clean one, which is degraded first.
        prompts: text prompts of what the image shows.
        operator: what degraded it: inpaint, blur or downsample.
        prior: name of a bundled prior, folder or single file of a diffusers pipeline, or owner/name on the hub; name or
            import path of another package's prior; or the configuration of a prior that takes text.
        generator: image parametrisation: latents of the pipeline (latent), pixels, a coordinate network (field) or a
            vector drawing (drawing); None: latent.
        noise: standard deviation of the noise of the data, pixels in [0, 1], >= 0; 0 keeps the data.
        mask: file of an image that is white where the image is missing; for inpaint.
        factor: factor of downsample.
        sigma: standard deviation of the Gaussian of blur, pixels.
        kernel: file of an image of the kernel of blur; None is the Gaussian.
        degrade: whether to degrade the image first, and to score the result against it.
        steps: number of optimisation steps; None: 50 for latents, else the default of `modeseek image`.
        scale: guidance scale; None: 1, none.
        negative: negative prompt.
        copies: number of restorations of each prompt, from different noise, >= 1.
        seed: random seed.
        size: image height and width, pixels; None: training size of the model.
        device: device of prior and generator; auto is the fastest of this machine.
        on_failure: response to divergence: stop, or roll back once.
        loras: LoRA weights, FILE or FILE=SCALE each.
        embeddings: textual inversions, FILE or FILE=TOKEN each.
        long_prompts: encoding of prompts that are longer than the text encoders read.
        film: format of the films: auto (MP4 where PyAV is installed, else GIF), mp4, gif, both or none.
        trackers: experiment trackers that also receive the metrics.
        settings: other settings, KEY=VALUE each, with dotted keys.

    Raises:
        ValueError: an empty prompt, an unknown name, or an invalid operator, mask, factor or noise; one line.
        OSError: a file cannot be read.
    """
    files = [None if part is None else absolute_path(part) for part in (image, mask, kernel)]
    for file in files:
        if file is not None:
            check_image_file(file)
    path, mask_path, kernel_path = files
    assert path is not None
    measurement = MeasurementConfig(path, operator, noise, degrade, mask_path, factor, sigma, kernel_path)
    name = generator or "latent"
    config = image_config(
        prompts,
        prior,
        "msd",
        name,
        steps=_STEPS.get(name) if steps is None else steps,
        scale=DEFAULT_SCALE if scale is None else scale,
        negative=negative,
        copies=copies,
        seed=seed,
        shift=0,  # the data are of the image at its place
        size=size,
        device=device,
        on_failure=on_failure,
        loras=loras,
        embeddings=embeddings,
        long_prompts=long_prompts,
        film=film,
        trackers=trackers,
    )
    rate = config.optimizer
    if name == "latent":  # each step goes to the target of EM; directions are means over the images
        rate = replace(rate, lr=float(copies * len(prompts)))  # pyright: ignore[reportArgumentType]
    config = replace(config, measurement=measurement, optimizer=rate)
    return configure(config.to_dict(), settings)
