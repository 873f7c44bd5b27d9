"""Configuration of a text-to-SVG run from a few options: that of `modeseek svg` and of `modeseek.svg`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from modeseek.config.config import Config, Tracker
from modeseek.config.image_config import image_config
from modeseek.config.priors import PriorConfig
from modeseek.config.serialization import suggest_name
from modeseek.config.vector import CUBICS, MAX_BYTES, PATHS, DrawingConfig
from modeseek.config.vector_starts import NAMED_STARTS, DrawingStart, SvgStart
from modeseek.device import AUTO
from modeseek.io.paths import absolute_path
from modeseek.io.video import Film
from modeseek.methods.base import Method
from modeseek.priors.pipeline.bundled_table import EMOJI
from modeseek.priors.pipeline.text_encoding import LongPrompts

DEFAULT_PRIOR = EMOJI.name  # its training images are drawings of few shapes


def svg_config(
    prompts: Sequence[str],
    prior: str | PriorConfig = DEFAULT_PRIOR,
    method: str | Method | None = None,
    *,
    paths: int | None = None,
    cubics: int | None = None,
    strokes: int | None = None,
    start: str | os.PathLike[str] | DrawingStart = "sample",
    background: str | None = None,
    bytes: int = MAX_BYTES,
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
    """Returns the configuration that optimises vector drawings for text prompts, all in one batch.

    Args:
        prompts: text prompts.
        prior: name of a bundled prior, folder or single file of a diffusers pipeline, or owner/name on the hub; name or
            import path of another package's prior; or the configuration of a prior that takes text.
        method: registered name or import path of the method, or the method with its own settings; None: msd.
        paths: number of filled paths of each drawing; None: 24, or those of the file that it starts from.
        cubics: number of cubic Bezier curves of each path; None: 4, or those of the file.
        strokes: number of strokes of each drawing; None: 0, or those of the file.
        start: first paths: sample (fitted to a sample of the prior), saliency (circles where the prompt matters),
            random, an SVG file, or a configuration of one of these.
        background: colour behind the paths: white, learned, random (a new one in each step, against see-through
            paths), or one such as #ffcc00; None: that of the start, of the sample or the file, else white.
        bytes: largest size of an SVG file, bytes.
        steps: number of optimisation steps; None: 100 from a sample or a file, else 400.
        scale: guidance scale, 1 is none; None: default of the method under the prior (`default_guidance`).
        negative: negative prompt.
        source: prompt of what is there before the run, for dds, pds, cds, dvrf and sds-bridge.
        copies: number of drawings of each prompt, >= 1.
        seed: random seed.
        shift: largest random shift of the images at every step, pixels; None: default of drawings under the prior.
        inner_steps: number of optimizer steps per direction; None: 1.
        size: height and width of the images that the prior sees, pixels; None: training size of the model.
        device: device of prior and generator; auto is the fastest of this machine.
        on_failure: response to divergence: stop, or roll back once.
        loras: LoRA weights, FILE or FILE=SCALE each.
        embeddings: textual inversions, FILE or FILE=TOKEN each.
        long_prompts: encoding of prompts that are longer than the text encoders read.
        film: format of the films: auto (MP4 where PyAV is installed, else GIF), mp4, gif, both or none.
        trackers: experiment trackers that also receive the metrics.
        optimizer: name of the optimizer; None: adam.
        lr: learning rate of the points, canvas units of 2 for the longer side; None: default of drawings.
        settings: other settings, KEY=VALUE each, with dotted keys.

    Raises:
        ValueError: an empty prompt, an unknown name or an invalid value, or a file that is no SVG; one line.
        OSError: the SVG file cannot be read.
    """
    begun = find_start(start)
    first = begun.read()
    drawings = DrawingConfig(
        paths=(PATHS if first is None else first.n_fills) if paths is None else paths,
        cubics=(CUBICS if first is None else first.cubics) if cubics is None else cubics,
        strokes=(0 if first is None else first.n_strokes) if strokes is None else strokes,
        start=begun,
        background=background,
        max_bytes=bytes,
    )
    if first is not None:
        drawings.check_counts(first)
    config = image_config(
        prompts,
        prior,
        method,
        drawings,
        steps=steps,
        scale=scale,
        negative=negative,
        source=source,
        copies=copies,
        seed=seed,
        shift=shift,
        inner_steps=inner_steps,
        size=size,
        device=device,
        on_failure=on_failure,
        loras=loras,
        embeddings=embeddings,
        long_prompts=long_prompts,
        film=film,
        trackers=trackers,
        optimizer=optimizer,
        lr=lr,
        settings=settings,
    )
    if config.generator.max_svg_bytes is None:
        name = config.generator_name
        raise ValueError(f"generator must be drawing for an SVG, got {name}; try modeseek image --generator {name}")
    return config


def find_start(start: str | os.PathLike[str] | DrawingStart) -> DrawingStart:
    """Returns the configuration of a start by its name or the path of an SVG file.

    Raises:
        ValueError: neither.
    """
    if isinstance(start, DrawingStart):
        return start
    name = os.fspath(start)
    if name in NAMED_STARTS:
        return NAMED_STARTS[name]()
    if Path(name).suffix.lower() == ".svg" or os.sep in name:
        return SvgStart(Path(absolute_path(name)))
    raise ValueError(
        f"start must be {', '.join(NAMED_STARTS)} or an SVG file, got {name!r}: {suggest_name(name, NAMED_STARTS)}"
    )
