"""Configuration of an edit of an image from a few options: that of `modeseek edit` and of `modeseek.edit`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modeseek.config.config import Config, Tracker
from modeseek.config.defaults import DEFAULT_PRIOR
from modeseek.config.generators import FieldConfig, ImageConfig, LatentConfig, PixelsConfig
from modeseek.config.image_config import image_config
from modeseek.config.lookup import look_up
from modeseek.config.method_choice import choose_method
from modeseek.config.priors import PriorConfig
from modeseek.config.registry import ALL_METHODS
from modeseek.config.vector import DrawingConfig
from modeseek.config.vector_starts import SvgStart
from modeseek.device import AUTO
from modeseek.io.image_files import check_image_file
from modeseek.io.paths import absolute_path
from modeseek.io.video import Film
from modeseek.methods.base import Method, needs_of
from modeseek.priors.pipeline.text_encoding import LongPrompts

DEFAULT_METHOD = "dds"  # turns most edits of docs/edit.md right
_GENERATORS = {"latent": LatentConfig, "pixels": PixelsConfig, "field": FieldConfig}


@dataclass(frozen=True)
class EditDefaults:
    """Default optimisation of an edit.

    Attributes:
        optimizer: name of the optimizer.
        lr: learning rate; of SGD per image.
        steps: number of steps.
    """

    optimizer: str
    lr: float
    steps: int


_LATENT_DEFAULTS: dict[str, EditDefaults] = {  # measured under scenes, docs/edit.md
    "dds": EditDefaults("sgd", 0.4, 50),
}
_DEFAULTS: dict[type, EditDefaults] = {
    LatentConfig: EditDefaults("adam", 0.03, 100),
    PixelsConfig: EditDefaults("adam", 0.01, 200),
    FieldConfig: EditDefaults("adam", 0.002, 200),
    DrawingConfig: EditDefaults("adam", 0.002, 200),
}


def edit_config(
    image: str | os.PathLike[str],
    prompts: Sequence[str],
    source: str = "",
    prior: str | PriorConfig = DEFAULT_PRIOR,
    method: str | Method | None = None,
    generator: str | None = None,
    *,
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
    optimizer: str | None = None,
    lr: float | None = None,
    settings: Iterable[str] = (),
) -> Config:
    """Returns the configuration that edits an image once for each prompt, all in one batch.

    Args:
        image: file of the image, PNG, JPEG or WebP of any size; an SVG file is edited as a drawing.
        prompts: text prompts of what the results should show.
        source: text prompt of what the image shows.
        prior: name of a bundled prior, folder or single file of a diffusers pipeline, or owner/name on the hub; name or
            import path of another package's prior; or the configuration of a prior that takes text.
        method: registered name or import path of a method that compares two prompts, or the method with its own
            settings; None: dds.
        generator: image parametrisation, which starts from the image: its latents (latent), its pixels, a coordinate
            network fitted to it first (field), or drawing, of an SVG file. None: latent, of an SVG file drawing.
        steps: number of optimisation steps; None: default of method and generator.
        scale: guidance scale, 1 is none; None: default of the method under the prior (`default_guidance`).
        negative: negative prompt.
        copies: number of edits of each prompt, >= 1.
        seed: random seed.
        size: image height and width, pixels; None: training size of the model.
        device: device of prior and generator; auto is the fastest of this machine.
        on_failure: response to divergence: stop, or roll back once.
        loras: LoRA weights, FILE or FILE=SCALE each.
        embeddings: textual inversions, FILE or FILE=TOKEN each.
        long_prompts: encoding of prompts that are longer than the text encoders read.
        film: format of the films: auto (MP4 where PyAV is installed, else GIF), mp4, gif, both or none.
        trackers: experiment trackers that also receive the metrics.
        optimizer: name of the optimizer; None: default of method and generator.
        lr: learning rate, per image of SGD on latents; None: default of method and generator.
        settings: other settings, KEY=VALUE each, with dotted keys.

    Raises:
        ValueError: an empty prompt, no source prompt, an unknown name, a method that compares no prompts, or a file of
            another kind than the generator takes; one line.
        OSError: the file cannot be read.
    """
    path = absolute_path(image)
    method = DEFAULT_METHOD if method is None else method
    name, given = choose_method(method)
    if "source" not in needs_of(given or ALL_METHODS[name]):
        raise ValueError(f"edit needs a method that compares two prompts, got {name}; try {DEFAULT_METHOD}")
    if not source.strip():
        raise ValueError(f'{name} needs a source prompt, got none; try --source "what {path.name} shows"')
    images = _images(generator, path)
    defaults = _defaults(name, images)
    chosen = defaults.optimizer if optimizer is None else optimizer
    rate = lr if lr is not None or chosen != defaults.optimizer else defaults.lr
    per_image = copies * len(prompts) if chosen == "sgd" else 1  # directions are means over the images
    return image_config(
        prompts,
        prior,
        method,
        images,
        steps=defaults.steps if steps is None else steps,
        scale=scale,
        negative=negative,
        source=source,
        copies=copies,
        seed=seed,
        shift=0,  # the source is encoded once, at its place
        size=size,
        device=device,
        on_failure=on_failure,
        loras=loras,
        embeddings=embeddings,
        long_prompts=long_prompts,
        film=film,
        trackers=trackers,
        optimizer=chosen,
        lr=None if rate is None else rate * per_image,
        settings=settings,
    )


def edit_methods() -> tuple[str, ...]:
    """Returns the names of the methods that compare a target with a source prompt."""
    return tuple(name for name, method in ALL_METHODS.entries.items() if "source" in needs_of(method))


def _defaults(name: str, images: ImageConfig) -> EditDefaults:
    """Default optimisation of a method on a generator."""
    if isinstance(images, LatentConfig) and name in _LATENT_DEFAULTS:
        return _LATENT_DEFAULTS[name]
    return _DEFAULTS.get(type(images), _DEFAULTS[PixelsConfig])


def _images(generator: str | None, path: Path) -> ImageConfig:
    """Configuration of images that start from a file: latents, or a drawing of an SVG file, where none is named."""
    drawn = path.suffix.lower() == ".svg"
    name = generator or ("drawing" if drawn else "latent")
    kind = look_up("generator", name, {**_GENERATORS, "drawing": DrawingConfig})
    if drawn and name == "drawing":
        return DrawingConfig(start=SvgStart(path))
    if drawn or name == "drawing":
        expected, other = ("an SVG file", "latent") if name == "drawing" else ("a PNG, JPEG or WebP image", "drawing")
        raise ValueError(f"generator {name} must start from {expected}, got {path.name}; try --generator {other}")
    check_image_file(path)
    return kind(files=(path,))  # pyright: ignore[reportCallIssue] - a drawing has returned
