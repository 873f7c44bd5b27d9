"""`modeseek paint`: the texture of a given mesh from text, under a text-to-image prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from modeseek.cli import options
from modeseek.cli.follow_run import start_run
from modeseek.cli.options import arguments_of, option
from modeseek.config.defaults import DEFAULT_PRIOR
from modeseek.config.paint_config import paint_config
from modeseek.config.painted import TextureKind
from modeseek.device import AUTO
from modeseek.generators.background import BackgroundKind
from modeseek.generators.mesh.placement import UpAxis


@dataclass(frozen=True)
class PaintCommand:
    """Optimise the texture of a given mesh for a text prompt, and export it as GLB and as OBJ.

    The shape stays as it is. The mesh is centred and scaled; what is broken in the file is said. Short form of
    `modeseek run --generator painted`: same run folder, same resume. exports/textured.glb has the texture as its base
    colour, in the coordinates of the file, y up; textured.obj has its material and image beside it.

    Examples:
      modeseek paint cone.obj "a red cone"

      modeseek paint chair.glb "a wooden chair" --prior pipelines/mine --perp-neg --faces 20000

      modeseek paint part.stl "a yellow duck" --up z --texture atlas --method sds --steps 600
    """

    mesh: tyro.conf.Positional[Annotated[Path, option("MESH", "Mesh file: .glb, .obj, .ply or .stl.")]]
    prompt: options.Prompt
    prior: Annotated[
        str,
        option(
            "scenes|emoji|renders|FOLDER|FILE|OWNER/NAME",
            "Prior: scenes (default), which ships with modeseek and knows views; emoji, which ships too and knows "
            "none; a diffusers pipeline: a folder written by save_pretrained (./emoji if so named), or owner/name on "
            "the hub; or renders, the exact prior of ground-truth renders of the caption.",
        ),
    ] = DEFAULT_PRIOR
    method: options.MethodName = None
    texture: Annotated[
        TextureKind,
        option(
            "field|hash|atlas",
            "Representation of the texture: network of the position with Fourier features (field, default), network of "
            "hash grids, or texels of a UV atlas.",
        ),
    ] = "field"
    up: Annotated[
        UpAxis, option("y|z", "Axis of the file that points up: y (default), or z with the front face along -y.")
    ] = "y"
    faces: Annotated[
        int | None,
        option("N", "Number of faces to decimate the mesh to; the deviation is in the log. Default: all, at most 1e6."),
    ] = None
    background: Annotated[
        BackgroundKind,
        option("constant|random|learned", "Background: white (constant, default), random per view, or learned."),
    ] = "constant"
    steps: Annotated[
        int | None, option("N", "Number of optimisation steps. Default: 100 with inner steps, else 300.")
    ] = None
    cameras: Annotated[int | None, option("N", "Number of views per step, of each particle. Default: 4.")] = None
    particles: Annotated[
        int,
        option(
            "K",
            "Number of textures that are optimised together, for methods that compare them: vsd, esd, asd, rsd. "
            "Default: 1.",
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
    seed: options.Seed = 0
    size: Annotated[
        int | None, option("SIDE", "Side of the rendered images, pixels. Default: input size of the prior.")
    ] = None
    optimizer: Annotated[str | None, option("NAME", "Optimizer: adam (default) or sgd.")] = None
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
            "Number of optimizer steps towards the target of each direction, for methods that have one. Default: 2 "
            "under scenes and emoji, else 1.",
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
        """Runs the optimisation and prints the path of the report."""
        config = paint_config(**arguments_of(self, paint_config))
        start_run(config, argv, self.out, dry_run=self.dry_run)
