"""`modeseek image`: words to pictures, by optimising them under a text-to-image pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from modeseek.cli.lookup import look_up
from modeseek.cli.run import RunCommand
from modeseek.config.priors import BUNDLED, default_scale
from modeseek.config.registry import METHODS
from modeseek.experiments.text_to_image.defaults import METHODS as SETTINGS


@dataclass(frozen=True)
class ImageCommand:
    """Optimise pictures towards what words say, under the prior that comes with modeseek or any diffusers pipeline.

    A short form of `modeseek run`: the same folder, the same resume. Several prompts make one batch, and --copies as
    many pictures of each from different starts.

    Examples:
      modeseek image "a red cone on a blue cube"

      modeseek image "a cat" "a dog" --prior pipelines/mine --method sds --generator latent --scale 101 --steps 800

      modeseek image "a cat" --prior pipelines/mine --generator field --size 64 64 --set generator.field.kind=siren
    """

    prompts: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="PROMPT [PROMPT ...]")]]
    """What the pictures shall show."""
    prior: Annotated[str, tyro.conf.arg(metavar="FOLDER|OWNER/NAME")] = BUNDLED
    """A diffusers pipeline: a folder that save_pretrained wrote, or its name on the hub. By default the one that comes
    with modeseek: scenes of one or two coloured objects."""
    method: Annotated[str, tyro.conf.arg(metavar="NAME")] = "msd"
    """msd, sds or sdi; `modeseek list methods`."""
    generator: Literal["field", "pixels", "latent"] = "field"
    """What is optimised: a coordinate network, free pixels, or the pipeline's own latents."""
    steps: int = 400
    """Of the run."""
    scale: float | None = None
    """Classifier-free guidance: 1 is none; DreamFusion's 100 is 101 here. By default 3 under the bundled prior, else
    7.5."""
    negative: str = ""
    """Words to move away from."""
    copies: int = 1
    """Pictures of each prompt."""
    seed: int = 0
    """Of every random draw."""
    size: tuple[int, int] | None = None
    """Height and width in pixels; what the model was trained on by default."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """cpu, cuda, cuda:1 or mps."""
    on_failure: Literal["stop", "rollback"] = "stop"
    """When something goes wrong: stop, or go back once to the last checkpoint with half the learning rate."""
    lora: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILE[=SCALE]")] = ()
    """Low-rank changes of the pipeline (LoRA, DreamBooth LoRA) in safetensors; scale 1 is all of it."""
    mp4: bool = False
    """Leave the optimisation as a film too; needs pip install 'modeseek[video]'."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE")] = ()
    """Any other settings by their place, as --dry-run prints them."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder to make, by default runs/METHOD-NAME-TIME-ID."""
    dry_run: bool = False
    """Print the whole configuration and do nothing."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs it, and says where the report is."""
        if not self.prompts or not all(prompt.strip() for prompt in self.prompts):
            raise ValueError(f'a picture needs words: got {list(self.prompts)}; write modeseek image "a red cone"')
        if self.copies < 1:
            raise ValueError(f"copies are at least 1: got {self.copies}")
        own = hasattr(look_up("method", self.method, METHODS), "scale")  # guides by itself
        scale = default_scale(self.prior) if self.scale is None else self.scale
        pipeline = {
            "path": self.prior,
            "size": None if self.size is None else list(self.size),
            "loras": [_lora(text) for text in self.lora],
        }
        plain = {
            "prior": {"pipeline": pipeline},
            "method": {self.method: {"scale": scale}} if own else SETTINGS.get(self.method, self.method),
            "generator": {self.generator: {"n": self.copies * len(self.prompts)}},
            "optimizer": {"adam": {"lr": 0.01 if self.generator == "field" else 0.03}},
            "name": self.prompts[0][:40],
            "prompts": list(self.prompts),
            "negative": self.negative,
            "scale": 1.0 if own else scale,
            "steps": self.steps,
            "seed": self.seed,
            "device": self.device,
            "on_failure": self.on_failure,
            "mp4": self.mp4,
        }
        RunCommand(set=self.set, out=self.out, dry_run=self.dry_run).start(plain, argv)


def _lora(text: str) -> dict[str, Any]:
    """FILE or FILE=SCALE."""
    path, equals, scale = text.rpartition("=")
    if not equals or "/" in scale:
        return {"path": text}
    try:
        return {"path": path, "scale": float(scale)}
    except ValueError as error:
        raise ValueError(f"a LoRA is FILE or FILE=SCALE: got {text!r}; write style.safetensors=0.8") from error
