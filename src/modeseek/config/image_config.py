"""Configuration of a text-to-image run from a few options: that of `modeseek image` and of `modeseek.image`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from modeseek.config.config import Config, Tracker
from modeseek.config.defaults import (
    DEFAULT_PRIOR,
    configure,
    default_config,
    default_image_steps,
    default_inner_steps,
    optimizer_settings,
)
from modeseek.config.generators import FieldConfig, GeneratorConfig, ImageConfig, LatentConfig, PixelsConfig
from modeseek.config.guidance import chosen_scale
from modeseek.config.lookup import look_up
from modeseek.config.method_choice import choose_method
from modeseek.config.pipeline_options import prior_config
from modeseek.config.priors import PriorConfig
from modeseek.config.prompts import clean_prompt, name_of
from modeseek.config.registry import GENERATORS, REGISTRY
from modeseek.config.vector import DrawingConfig
from modeseek.device import AUTO
from modeseek.io.video import Film
from modeseek.methods.base import Method
from modeseek.priors.pipeline.text_encoding import LongPrompts

ImageKind = Literal["field", "pixels", "latent", "drawing"]
_GENERATORS = {"field": FieldConfig, "pixels": PixelsConfig, "latent": LatentConfig, "drawing": DrawingConfig}


def image_config(
    prompts: Sequence[str],
    prior: str | PriorConfig = DEFAULT_PRIOR,
    method: str | Method | None = None,
    generator: str | ImageConfig | None = None,
    *,
    steps: int | None = None,
    scale: float | None = None,
    negative: str = "",
    source: str = "",
    copies: int = 1,
    seed: int = 0,
    shift: int | None = None,
    inner_steps: int | None = None,
    size: tuple[int, int] | None = None,
    device: str = AUTO,
    on_failure: Literal["stop", "rollback"] = "stop",
    loras: Sequence[str] = (),
    embeddings: Sequence[str] = (),
    long_prompts: LongPrompts = "cut",
    film: Film = "auto",
    trackers: Sequence[Tracker] = (),
    optimizer: str | None = None,
    lr: float | None = None,
    settings: Iterable[str] = (),
) -> Config:
    """Returns the configuration that optimises images for text prompts, all in one batch.

    Args:
        prompts: text prompts.
        prior: name of a bundled prior, folder or single file of a diffusers pipeline, or owner/name on the hub; name or
            import path of another package's prior; or the configuration of a prior that takes text.
        method: registered name or import path of the method, or the method with its own settings; None: msd.
        generator: image parametrisation: coordinate network (field), pixels, latents of the pipeline (latent), vector
            drawing (drawing), one of another package, or a configuration, whose number of images is set; None: field.
        steps: number of optimisation steps; None: 100 with inner steps and for latents under msd, else 400.
        scale: guidance scale, 1 is none; None: default of the method under the prior (`default_guidance`).
        negative: negative prompt.
        source: prompt of what is there before the run, for dds, pds, cds, dvrf and sds-bridge.
        copies: number of images of each prompt, >= 1.
        seed: random seed.
        shift: largest random shift of the images at every step, pixels; None: default of generator and prior.
        inner_steps: number of optimizer steps per direction; None: default of generator and prior.
        size: image height and width, pixels; None: training size of the model.
        device: device of prior and generator; auto is the fastest of this machine.
        on_failure: response to divergence: stop, or roll back once.
        loras: LoRA weights, FILE or FILE=SCALE each.
        embeddings: textual inversions, FILE or FILE=TOKEN each.
        long_prompts: encoding of prompts that are longer than the text encoders read.
        film: format of the films: auto (MP4 where PyAV is installed, else GIF), mp4, gif, both or none.
        trackers: experiment trackers that also receive the metrics.
        optimizer: name of the optimizer; None: sgd for msd on latents, else adam.
        lr: learning rate; None: default of optimizer and generator.
        settings: other settings, KEY=VALUE each, with dotted keys.

    Raises:
        ValueError: an empty prompt, an unknown name or an invalid value; one line.
    """
    if not prompts or not all(prompt.strip() for prompt in prompts):
        raise ValueError(f'prompts must not be empty, got {list(prompts)}; try "a red cone on a blue cube"')
    if copies < 1:
        raise ValueError(f"copies must be at least 1, got {copies}")
    name, given = choose_method(method)
    prompts = tuple(map(clean_prompt, prompts))
    pipeline = prior_config(prior, size, loras, embeddings, long_prompts)
    images = _images(generator or "field", copies * len(prompts))
    inner_steps = default_inner_steps(pipeline, images, name) if inner_steps is None else inner_steps
    config = default_config(
        name,
        pipeline,
        images,
        chosen_scale(name, given, pipeline, scale),
        given=given,
        name=name_of(prompts[0]),
        prompts=prompts,
        negative=clean_prompt(negative),
        source=clean_prompt(source),
        steps=default_image_steps(name, images, inner_steps) if steps is None else steps,
        seed=seed,
        shift=shift,
        inner_steps=inner_steps,
        device=device,
        on_failure=on_failure,
        film=film,
        trackers=tuple(trackers),
    )
    config = configure(config.to_dict(), settings)
    return configure(config.to_dict(), optimizer_settings(config, optimizer, lr))


def _images(generator: str | ImageConfig, n: int) -> GeneratorConfig:
    """Configuration of n images of a kind of modeseek or of another package."""
    if isinstance(generator, ImageConfig):
        return replace(generator, n=n)  # pyright: ignore[reportArgumentType]
    if GENERATORS.is_foreign(generator):
        images = REGISTRY.deserialize(GeneratorConfig, generator, "generator")
        return replace(images, n=n) if isinstance(images, ImageConfig) else images  # pyright: ignore[reportArgumentType]
    return look_up("generator", generator, _GENERATORS)(n)
