"""`modeseek edit`: edits of an image by text, under a prior that ships with modeseek or a diffusers pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from modeseek.cli import options
from modeseek.cli.follow_run import start_run
from modeseek.cli.options import arguments_of, option
from modeseek.config.defaults import DEFAULT_PRIOR
from modeseek.config.edit_config import edit_config
from modeseek.device import AUTO
from modeseek.io.paths import PATH


@dataclass(frozen=True)
class EditCommand:
    """Edit an image by text: a method compares a prompt of the result with a prompt of what the image shows.

    The optimisation starts at the image. Several prompts are several edits of it, in one batch. The run folder has the
    source, the results, both side by side (results.png), scores and a film; resume as any run.

    Examples:
      modeseek edit cone.png "a green cone on a blue cube" --source "a red cone on a blue cube"

      modeseek edit face.png "a sad face" --source "a grinning face" --prior emoji

      modeseek edit cone.png "a green cone" "a blue cone" --source "a red cone" --method pds --copies 2

      modeseek edit cat.svg "a dog" --source "a cat" --prior emoji
    """

    image: tyro.conf.Positional[
        Annotated[
            str,
            option(
                "IMAGE",
                "Image to edit: PNG, JPEG or WebP of any size, cropped to its middle and resized to that of the prior; "
                "or an SVG file, which is edited as a drawing.",
            ),
            PATH,
        ]
    ]
    prompts: options.Prompts = ()
    source: Annotated[str, option("TEXT", "Prompt of what the image shows.")] = ""
    prior: options.TextPrior = DEFAULT_PRIOR
    method: Annotated[
        str | None,
        option(
            "NAME", "Method that compares two prompts: dds (default), pds, sds-bridge, ...: `modeseek list methods`."
        ),
    ] = None
    preset: options.Preset = None
    generator: Annotated[
        str | None,
        option(
            "latent|pixels|field|drawing",
            "Image parametrisation, which starts from the image: latents of the pipeline (latent, default), pixels, a "
            "coordinate network that is fitted first (field), or drawing, the default for an SVG file.",
        ),
    ] = None
    steps: Annotated[
        int | None,
        option("N", "Number of optimisation steps. Default: 50 for dds and 100 for others on latents, else 200."),
    ] = None
    scale: options.Scale = None
    negative: options.Negative = ""
    copies: Annotated[int, option("N", "Number of edits of each prompt, from different noise. Default: 1.")] = 1
    seed: options.Seed = 0
    size: options.ImageSize = None
    optimizer: Annotated[
        str | None, option("NAME", "Optimizer: adam or sgd. Default: sgd for dds on latents, else adam.")
    ] = None
    lr: Annotated[
        float | None, option("RATE", "Learning rate, of sgd per image. Default: that of method and generator.")
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
        """Runs the edit and prints the path of the report."""
        config = edit_config(**arguments_of(self, edit_config, "edit"))
        start_run(config, argv, self.out, dry_run=self.dry_run, preset=self.preset)
