"""`modeseek image`: text-to-image optimisation under a diffusers pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from modeseek.cli.follow_run import start_run
from modeseek.cli.lookup import look_up
from modeseek.cli.pipeline_options import pipeline_config
from modeseek.config.defaults import (
    DEFAULT_PRIOR,
    configure,
    default_config,
    default_image_steps,
    default_inner_steps,
    default_scale,
)
from modeseek.config.generators import FieldConfig, LatentConfig, PixelsConfig
from modeseek.config.prompts import clean_prompt, name_of
from modeseek.methods import METHODS

_GENERATORS = {"field": FieldConfig, "pixels": PixelsConfig, "latent": LatentConfig}


@dataclass(frozen=True)
class ImageCommand:
    """Optimise images for text prompts, under a prior that ships with modeseek or any diffusers pipeline.

    Short form of `modeseek run`: same run folder, same resume. All prompts are optimised in one batch; --copies sets
    the number of images of each prompt, from different initial noise.

    Examples:
      modeseek image "a red cone on a blue cube"

      modeseek image "an owl" "a red apple" --prior emoji

      modeseek image "a cat" "a dog" --prior pipelines/mine --method sds --generator latent --scale 101 --steps 800

      modeseek image "a cat" --prior pipelines/mine --generator field --size 64 64 --set generator.field.kind=siren
    """

    prompts: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="PROMPT [PROMPT ...]")]]
    """Text prompts."""
    prior: Annotated[str, tyro.conf.arg(metavar="scenes|emoji|FOLDER|FILE|OWNER/NAME")] = DEFAULT_PRIOR
    """Text-to-image prior: scenes (one or two coloured objects) or emoji (one everyday thing), which ship with
    modeseek; or a diffusers pipeline: a folder written by save_pretrained (./emoji if so named), or owner/name on the
    hub."""
    method: Annotated[str, tyro.conf.arg(metavar="NAME")] = "msd"
    """Method name: msd, sds, sdi, ...; full list: `modeseek list methods`."""
    generator: Literal["field", "pixels", "latent"] = "field"
    """Image parametrisation: coordinate network (field), pixels, or latents of the pipeline."""
    steps: int | None = None
    """Number of optimisation steps. Default: 100 with inner steps and for latents under msd, else 400."""
    scale: float | None = None
    """Classifier-free guidance scale; 1 is none, DreamFusion's 100 is 101 here. Default: 3 under scenes and emoji,
    else 7.5."""
    negative: str = ""
    """Negative prompt."""
    copies: int = 1
    """Number of images of each prompt."""
    seed: int = 0
    """Random seed."""
    shift: Annotated[int | None, tyro.conf.arg(metavar="PIXELS")] = None
    """Largest random shift of the images at every step, before they are encoded, pixels; 0 is none. Default: 2 for
    pixels and fields under scenes and emoji, else 0."""
    inner_steps: int | None = None
    """Number of optimizer steps towards the target of each direction, for methods that have one: more let the
    image follow faster at equal prior calls. Default: 4 for pixels and fields under scenes and emoji, else 1."""
    size: tuple[int, int] | None = None
    """Image height and width, pixels; default: the training size of the model."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """Device: cpu, cuda, cuda:1 or mps."""
    on_failure: Literal["stop", "rollback"] = "stop"
    """Response to divergence: stop, or roll back once to the last checkpoint with half the learning rate."""
    lora: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILE[=SCALE]")] = ()
    """LoRA weights to merge into the pipeline (LoRA, DreamBooth LoRA), safetensors; scale 1 is full strength."""
    embedding: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILE[=TOKEN]")] = ()
    """Textual inversions, safetensors; prompts write the token, by default the one in the file, or the file's name."""
    long_prompts: Literal["cut", "chunk"] = "cut"
    """Prompts that are longer than the text encoders read: cut (a warning says what), or encoded in chunks of 75 tokens
    (Stable Diffusion 1, 2 and XL)."""
    mp4: bool = False
    """Video of the optimisation as MP4, too; needs pip install 'modeseek[video]'."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE")] = ()
    """Any other settings by dotted key, as printed by --dry-run."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Run folder to create; default runs/METHOD-NAME-TIME-ID."""
    dry_run: bool = False
    """Dry run: print the full configuration and exit."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the optimisation and prints the path of the report."""
        if not self.prompts or not all(prompt.strip() for prompt in self.prompts):
            raise ValueError(f'prompts must not be empty, got {list(self.prompts)}; try modeseek image "a red cone"')
        if self.copies < 1:
            raise ValueError(f"--copies must be at least 1, got {self.copies}")
        look_up("method", self.method, METHODS)
        prompts = tuple(map(clean_prompt, self.prompts))
        prior = pipeline_config(self.prior, self.size, self.lora, self.embedding, self.long_prompts)
        generator = _GENERATORS[self.generator](self.copies * len(prompts))
        inner_steps = self.inner_steps
        if inner_steps is None:
            inner_steps = default_inner_steps(prior, generator, self.method)
        steps = default_image_steps(self.method, generator, inner_steps) if self.steps is None else self.steps
        config = default_config(
            self.method,
            prior,
            generator,
            default_scale(self.prior) if self.scale is None else self.scale,
            name=name_of(prompts[0]),
            prompts=prompts,
            negative=clean_prompt(self.negative),
            steps=steps,
            seed=self.seed,
            shift=self.shift,
            inner_steps=inner_steps,
            device=self.device,
            on_failure=self.on_failure,
            mp4=self.mp4,
        )
        start_run(configure(config.to_dict(), self.set), argv, self.out, dry_run=self.dry_run)
