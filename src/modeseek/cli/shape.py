"""`modeseek shape`: text to 3D, by optimising a NeRF under a text-to-image prior."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from modeseek.cli.follow_run import start_run
from modeseek.cli.lookup import look_up
from modeseek.cli.pipeline_options import pipeline_config
from modeseek.config.camera_prompts import CameraPromptsConfig
from modeseek.config.config import Config
from modeseek.config.defaults import (
    DEFAULT_PRIOR,
    configure,
    default_adam,
    default_config,
    default_inner_steps,
    default_shape_steps,
)
from modeseek.config.generators import GeneratorConfig
from modeseek.config.generators3d import MeshConfig, NeRFConfig
from modeseek.config.priors import PipelinePriorConfig, PriorConfig, RenderedPriorConfig
from modeseek.config.prompts import clean_prompt, name_of
from modeseek.methods import METHODS
from modeseek.priors.pipeline.bundled_table import bundled_prior


@dataclass(frozen=True)
class ShapeCommand:
    """Text to 3D: optimise a NeRF for a text prompt, and export a mesh, a turntable video and an HTML report.

    Short form of `modeseek run`: same run folder, same resume. With --refine the vertex colours of the mesh are
    optimised in a second stage, in the folder refined/.

    Examples:
      modeseek shape "a red cone on a blue cube"

      modeseek shape "a green robot head" --prior pipelines/mine --views fine --method sds --steps 600

      modeseek shape "a red mug" --prior renders --volume triplane --refine 100 --out mug
    """

    prompt: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="PROMPT")]]
    """Text prompt of the 3D shape."""
    prior: Annotated[str, tyro.conf.arg(metavar="scenes|emoji|renders|FOLDER|FILE|OWNER/NAME")] = DEFAULT_PRIOR
    """Prior: scenes, which ships with modeseek and knows views; emoji, which ships too and knows none; a diffusers
    pipeline: a folder written by save_pretrained (./emoji if so named), or owner/name on the hub; or renders, the exact
    prior of ground-truth renders of the caption, an upper bound for every method."""
    method: Annotated[str, tyro.conf.arg(metavar="NAME")] = "msd"
    """Method name: msd, sds, ...; full list: `modeseek list methods`."""
    volume: Literal["dense", "triplane", "fourier", "hash"] = "dense"
    """Representation of density and colour: dense grids, triplanes, Fourier-feature network or hash grids."""
    steps: int | None = None
    """Number of optimisation steps. Default: 100 with inner steps, else 300."""
    cameras: int = 4
    """Number of views per step."""
    scale: float | None = None
    """Classifier-free guidance scale; 1 is none. Default: 3, or 1 with --prior renders."""
    views: Literal["none", "coarse", "fine"] | None = None
    """View-dependent prompts: none, coarse (front, side, back, overhead), or fine (the fine view phrases of scenes).
    Default: fine under scenes, none under emoji, else coarse."""
    perp_neg: bool = False
    """Perp-Neg on the view-dependent prompts, against the Janus (multi-face) problem."""
    negative: str = ""
    """Negative prompt."""
    refine: int = 0
    """Number of steps of the second stage, on the vertex colours of the mesh."""
    seed: int = 0
    """Random seed."""
    shift: Annotated[int | None, tyro.conf.arg(metavar="PIXELS")] = None
    """Largest random shift of the renders at every step, before they are encoded, pixels; 0, the default, is none."""
    inner_steps: int | None = None
    """Number of optimizer steps towards the target of each direction, for methods that have one: more let the
    shape follow faster at equal prior calls. Default: 2 under scenes and emoji, else 1."""
    size: int | None = None
    """Side of the rendered images, pixels; default: the input size of the prior."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """Device: cpu, cuda, cuda:1 or mps."""
    lora: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILE[=SCALE]")] = ()
    """LoRA weights to merge into the pipeline (LoRA, DreamBooth LoRA), safetensors; scale 1 is full strength."""
    embedding: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILE[=TOKEN]")] = ()
    """Textual inversions, safetensors; prompts write the token, by default the one in the file, or the file's name."""
    long_prompts: Literal["cut", "chunk"] = "cut"
    """Prompts that are longer than the text encoders read: cut (a warning says what), or encoded in chunks of 75 tokens
    (Stable Diffusion 1, 2 and XL)."""
    mp4: bool = False
    """Videos as MP4, too; needs pip install 'modeseek[video]'."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE")] = ()
    """Any other settings by dotted key, as printed by --dry-run."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Run folder to create; default runs/METHOD-NAME-TIME-ID."""
    dry_run: bool = False
    """Dry run: print the full configuration and exit."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the optimisation, then the second stage if --refine is set, and prints the paths of the reports."""
        if not self.prompt.strip():
            raise ValueError(f'the prompt must not be empty, got {self.prompt!r}; try modeseek shape "a red cone"')
        if self.refine < 0:
            raise ValueError(f"--refine must be at least 0, got {self.refine}")
        config = self._config()
        run = start_run(configure(config.to_dict(), self.set), argv, self.out, dry_run=self.dry_run)
        if run is None or not self.refine:
            return
        mesh = run.path / "exports" / "mesh.ply"
        if not mesh.exists():
            raise ValueError(f"--refine needs a mesh, got none; see {shlex.quote(str(run.path))}/log.txt")
        surface = MeshConfig(mesh, self.cameras, self.size)
        inner_steps = self._inner_steps(config.prior, surface)
        refined = replace(
            config, generator=surface, optimizer=default_adam(surface), steps=self.refine, inner_steps=inner_steps
        )
        settings = [setting for setting in self.set if not setting.startswith("generator.nerf.")]
        start_run(configure(refined.to_dict(), settings), argv, run.path / "refined", dry_run=False)

    def _inner_steps(self, prior: PriorConfig, generator: GeneratorConfig) -> int:
        """Number of optimizer steps per direction of a stage."""
        default = default_inner_steps(prior, generator, self.method)
        return default if self.inner_steps is None else self.inner_steps

    def _pipeline(self) -> PipelinePriorConfig:
        return pipeline_config(self.prior, None, self.lora, self.embedding, self.long_prompts)

    def _config(self) -> Config:
        exact = self.prior == "renders"
        look_up("method", self.method, METHODS)
        named = bundled_prior(self.prior)
        views = self.views or ("coarse" if named is None else named.views)
        prior = RenderedPriorConfig(clean_prompt(self.prompt)) if exact else self._pipeline()
        volume = NeRFConfig(self.volume, self.cameras, self.size)
        inner_steps = self._inner_steps(prior, volume)
        return default_config(
            self.method,
            prior,
            volume,
            self.scale if self.scale is not None else 1.0 if exact else 3.0,
            name=name_of(self.prompt),
            prompts=() if exact else (clean_prompt(self.prompt),),
            views=CameraPromptsConfig(views, self.perp_neg),
            negative=clean_prompt(self.negative),
            steps=default_shape_steps(inner_steps) if self.steps is None else self.steps,
            seed=self.seed,
            shift=self.shift,
            inner_steps=inner_steps,
            device=self.device,
            mp4=self.mp4,
        )
