"""`modeseek image`: text-to-image optimisation under a prior that ships with modeseek or a diffusers pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from modeseek.cli import options
from modeseek.cli.follow_run import start_run
from modeseek.cli.options import arguments_of, option
from modeseek.config.defaults import DEFAULT_PRIOR
from modeseek.config.image_config import image_config
from modeseek.device import AUTO


@dataclass(frozen=True)
class ImageCommand:
    """Optimise images for text prompts, under a prior that ships with modeseek or any diffusers pipeline.

    Short form of `modeseek run`: same run folder, same resume. All prompts are optimised in one batch; --copies sets
    the number of images of each prompt, from different initial noise.

    Examples:
      modeseek image "a red cone on a blue cube"

      modeseek image "an owl" "a red apple" --prior emoji

      modeseek image "a cat" --prior pipelines/mine --preset dreamfusion

      modeseek image "a cat" "a dog" --prior pipelines/mine --method sds --generator latent --steps 800
    """

    prompts: options.Prompts = ()
    prior: options.TextPrior = DEFAULT_PRIOR
    method: options.MethodName = None
    preset: options.Preset = None
    generator: Annotated[
        str | None,
        option(
            "field|pixels|latent|NAME",
            "Image parametrisation: coordinate network (field, default), pixels, latents of the pipeline, or "
            "the name of another package's.",
        ),
    ] = None
    steps: Annotated[
        int | None,
        option("N", "Number of optimisation steps. Default: 100 with inner steps and for msd on latents, else 400."),
    ] = None
    scale: options.Scale = None
    negative: options.Negative = ""
    source: options.Source = ""
    copies: options.Copies = 1
    seed: options.Seed = 0
    size: options.ImageSize = None
    optimizer: options.Optimizer = None
    lr: options.LearningRate = None
    shift: Annotated[
        int | None,
        option(
            "PIXELS",
            "Largest random shift of the images at every step, before they are encoded; 0 is none. Default: 2 for "
            "pixels and fields under scenes and emoji, else 0.",
        ),
    ] = None
    inner_steps: Annotated[
        int | None,
        option(
            "N",
            "Number of optimizer steps towards the target of each direction, for methods that have one: more let the "
            "image follow faster at equal prior calls. Default: 4 for pixels and fields under scenes and emoji, else "
            "1.",
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
        config = image_config(**arguments_of(self, image_config, "image"))
        start_run(config, argv, self.out, dry_run=self.dry_run, preset=self.preset)
