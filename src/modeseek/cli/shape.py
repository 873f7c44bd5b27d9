"""`modeseek shape`: text to 3D, by optimising a NeRF under a text-to-image prior."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from modeseek.cli import options
from modeseek.cli.follow_run import start_run
from modeseek.cli.options import arguments_of, option
from modeseek.config.defaults import DEFAULT_PRIOR
from modeseek.config.generators3d import VolumeKind
from modeseek.config.shape_config import ShapeKind, refined_config, shape_config
from modeseek.device import AUTO


@dataclass(frozen=True)
class ShapeCommand:
    """Text to 3D: optimise a NeRF for a text prompt, and export a mesh, a turntable video and an HTML report.

    Short form of `modeseek run`: same run folder, same resume. With --refine the vertex colours of the mesh are
    optimised in a second stage, in the folder refined/.

    Examples:
      modeseek shape "a red cone on a blue cube"

      modeseek shape "a hamburger" --prior pipelines/mine --preset dreamfusion

      modeseek shape "a green robot head" --prior pipelines/mine --method sds --steps 600

      modeseek shape "a yellow duck" --photograph front.png=0 right.png=90,15

      modeseek shape "a red mug" --prior renders --volume triplane --refine 100 --out mug
    """

    prompt: options.Prompt
    prior: Annotated[
        str,
        option(
            "scenes|emoji|renders|FOLDER|FILE|OWNER/NAME",
            "Prior: scenes (default), which ships with modeseek and knows views; emoji, which ships too and knows "
            "none; a diffusers pipeline: a folder written by save_pretrained (./emoji if so named), or owner/name on "
            "the hub; or renders, the exact prior of ground-truth renders of the caption, an upper bound for every "
            "method.",
        ),
    ] = DEFAULT_PRIOR
    method: options.MethodName = None
    preset: options.Preset = None
    volume: Annotated[
        VolumeKind | None,
        option(
            "dense|triplane|fourier|hash",
            "Representation of density and colour: dense grids (default), triplanes, Fourier-feature network or hash "
            "grids.",
        ),
    ] = None
    generator: Annotated[
        ShapeKind,
        option(
            "nerf|splats|dense|triplane|fourier|hash",
            "3D representation: volume (nerf, default, of the kind of --volume; or the kind itself: dense, triplane, "
            "fourier, hash), or Gaussian splats (splats), which start in a volume that is optimised first.",
        ),
    ] = "nerf"
    steps: Annotated[
        int | None, option("N", "Number of optimisation steps. Default: 100 with inner steps, else 300.")
    ] = None
    cameras: Annotated[int | None, option("N", "Number of views per step, of each particle. Default: 4.")] = None
    particles: Annotated[
        int,
        option(
            "K",
            "Number of shapes that are optimised together, for methods that compare them: vsd, esd, asd, rsd. Default: "
            "1.",
        ),
    ] = 1
    photograph: options.Photographs = ()
    scale: options.Scale = None
    views: Annotated[
        Literal["none", "coarse", "fine"] | None,
        option(
            "none|coarse|fine",
            "View-dependent prompts: none, coarse (front, side, back, overhead), or fine (the fine view phrases of "
            "scenes). Default: fine under scenes, none under emoji, else coarse.",
        ),
    ] = None
    perp_neg: bool = False
    """Perp-Neg on the view-dependent prompts, against the Janus (multi-face) problem."""
    negative: options.Negative = ""
    source: options.Source = ""
    refine: Annotated[
        int, option("N", "Number of steps of the second stage, on the vertex colours of the mesh. Default: 0.")
    ] = 0
    seed: options.Seed = 0
    size: Annotated[
        int | None, option("SIDE", "Side of the rendered images, pixels. Default: input size of the prior.")
    ] = None
    optimizer: options.Optimizer = None
    lr: options.LearningRate = None
    shift: Annotated[
        int | None,
        option(
            "PIXELS",
            "Largest random shift of the renders at every step, before they are encoded. Default: 0, none.",
        ),
    ] = None
    inner_steps: Annotated[
        int | None,
        option(
            "N",
            "Number of optimizer steps towards the target of each direction, for methods that have one: more let the "
            "shape follow faster at equal prior calls. Default: 2 under scenes and emoji, else 1.",
        ),
    ] = None
    device: options.Device = AUTO
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
        """Runs the optimisation, then the second stage if --refine is set, and prints the paths of the reports."""
        if self.refine < 0:
            raise ValueError(f"--refine must be at least 0, got {self.refine}")
        if self.refine and self.particles > 1:
            raise ValueError(f"--refine takes one shape, got --particles {self.particles}; try --particles 1")
        config = shape_config(**arguments_of(self, shape_config, "shape"))
        run = start_run(config, argv, self.out, dry_run=self.dry_run, preset=self.preset)
        if run is None or not self.refine:
            return
        mesh = run.path / "exports" / "mesh.ply"
        if not mesh.exists():
            raise ValueError(f"--refine needs a mesh, got none; see {shlex.quote(str(run.path))}/log.txt")
        refined = refined_config(config, mesh, self.refine, self.inner_steps, self.set)
        start_run(refined, argv, run.path / "refined", dry_run=False)
