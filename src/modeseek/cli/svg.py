"""`modeseek svg`: text to vector graphics under a prior that ships with modeseek or a diffusers pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from modeseek.cli import options
from modeseek.cli.follow_run import start_run
from modeseek.cli.options import arguments_of, option
from modeseek.config.svg_config import DEFAULT_PRIOR, svg_config
from modeseek.config.vector import MAX_BYTES
from modeseek.device import AUTO
from modeseek.io.paths import PATH_OR_NAME


@dataclass(frozen=True)
class SvgCommand:
    """Optimise vector drawings for text prompts, and write them as SVG files of few paths.

    A sample of the prior is fitted by filled paths of cubic Bezier curves, which a method then optimises through an
    exact, differentiable rasteriser. Short form of `modeseek run --generator drawing`: same run folder, same resume.

    Examples:
      modeseek svg "an owl"

      modeseek svg "an owl" "a red apple" --paths 16 --bytes 5000 --copies 2

      modeseek svg "a cat" --start sketch.svg --steps 300

      modeseek svg "a red cone" --prior scenes --method sds --start random --paths 64
    """

    prompts: options.Prompts = ()
    prior: Annotated[
        str,
        option(
            "emoji|scenes|FOLDER|FILE|OWNER/NAME",
            "Text-to-image prior: emoji (one everyday object in flat colours; the default) or scenes, which ship with "
            "modeseek; or a diffusers pipeline: a folder written by save_pretrained, or owner/name on the hub.",
        ),
        PATH_OR_NAME,
    ] = DEFAULT_PRIOR
    method: options.MethodName = None
    preset: options.Preset = None
    paths: Annotated[
        int | None, option("N", "Number of filled paths of each drawing. Default: 24; those of --start FILE.svg.")
    ] = None
    cubics: Annotated[
        int | None, option("N", "Number of cubic Bezier curves of each path. Default: 4; those of --start FILE.svg.")
    ] = None
    strokes: Annotated[
        int | None, option("N", "Number of strokes of each drawing. Default: 0; those of --start FILE.svg.")
    ] = None
    start: Annotated[
        str,
        option(
            "sample|saliency|random|FILE.svg",
            "First paths: fitted to a sample of the prior (sample, the default), circles where the prompt changes the "
            "prediction most (saliency), random circles, or those of an SVG file.",
        ),
    ] = "sample"
    background: Annotated[
        str | None,
        option(
            "white|random|learned|#RRGGBB",
            "Colour behind the paths: fixed, optimised (learned), or another one in each step, against see-through "
            "paths (random). Default: that of the start, of the sample or the file, else white.",
        ),
    ] = None
    bytes: Annotated[int, option("N", f"Largest size of an SVG file, bytes. Default: {MAX_BYTES}.")] = MAX_BYTES
    steps: Annotated[
        int | None, option("N", "Number of optimisation steps. Default: 100 from a sample or a file, else 400.")
    ] = None
    scale: options.Scale = None
    negative: options.Negative = ""
    source: options.Source = ""
    copies: Annotated[int, option("N", "Number of drawings of each prompt. Default: 1.")] = 1
    seed: options.Seed = 0
    size: Annotated[
        tuple[int, int] | None,
        option(
            "SIDE | HEIGHT WIDTH",
            "Size of the images that the prior sees, pixels. Default: training size of the model.",
        ),
    ] = None
    optimizer: Annotated[str | None, option("NAME", "Optimizer: adam (default) or sgd.")] = None
    lr: Annotated[
        float | None,
        option(
            "RATE",
            "Learning rate of points, where 2 is the longer side; others are relative to it. Default: 0.002 from a "
            "sample or a file, else 0.016.",
        ),
    ] = None
    shift: Annotated[
        int | None,
        option(
            "PIXELS",
            "Largest random shift of the images at every step, before they are encoded; 0 is none. Default: 3 under "
            "scenes and emoji, else 0.",
        ),
    ] = None
    inner_steps: Annotated[
        int | None,
        option(
            "N",
            "Number of optimizer steps towards the target of each direction, for methods that have one. Default: 1.",
        ),
    ] = None
    device: options.Device = AUTO
    on_failure: options.OnFailure = "stop"
    lora: options.Loras = ()
    embedding: options.Embeddings = ()
    long_prompts: options.LongPromptsOption = "cut"
    film: options.FilmOption = "auto"
    tracker: options.Trackers = ()
    set: options.Settings = ()
    out: options.Out = None
    dry_run: bool = False
    """Dry run: print the full configuration and exit."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the optimisation and prints the path of the report."""
        config = svg_config(**arguments_of(self, svg_config, "svg"))
        start_run(config, argv, self.out, dry_run=self.dry_run, preset=self.preset)
