"""`modeseek shape`: words to a thing that can be turned, by optimising a volume under a prior of pictures."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from modeseek.cli.lookup import look_up
from modeseek.cli.run import RunCommand
from modeseek.config.priors import BUNDLED
from modeseek.config.registry import METHODS
from modeseek.experiments.text_to_3d.defaults import METHODS as SETTINGS
from modeseek.experiments.text_to_3d.defaults import RATES
from modeseek.rundir.run_dir import Run


@dataclass(frozen=True)
class ShapeCommand:
    """Optimise a volume towards what words say, from all sides, and leave it as a mesh, a turntable and a page.

    A short form of `modeseek run`: the same folder, the same resume. With --refine the mesh's colours are then
    optimised once more, in the folder refined/.

    Examples:
      modeseek shape "a red cone on a blue cube"

      modeseek shape "a green robot head" --prior pipelines/mine --views fine --method sds --steps 600

      modeseek shape "a red mug" --prior renders --volume triplane --refine 100 --out mug
    """

    prompt: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="PROMPT")]]
    """What it shall be."""
    prior: Annotated[str, tyro.conf.arg(metavar="FOLDER|OWNER/NAME|renders")] = BUNDLED
    """A diffusers pipeline: a folder that save_pretrained wrote, or its name on the hub; by default the one that comes
    with modeseek. Or renders, the exact prior of our own renders of what the caption says, which shows what a method
    can reach at most."""
    method: Annotated[str, tyro.conf.arg(metavar="NAME")] = "msd"
    """msd, sds or any other; `modeseek list methods`."""
    volume: Literal["dense", "triplane", "fourier", "hash"] = "dense"
    """What holds density and colour: grids, or small networks."""
    steps: int = 300
    """Of the run."""
    cameras: int = 4
    """Views a step."""
    scale: float | None = None
    """Classifier-free guidance, 1 is none; 3 by default where the prior knows words."""
    views: Literal["none", "coarse", "fine"] | None = None
    """How the prompt follows the camera: not, by four phrases, or by the scene prior's own fine ones. By default finely
    under the prior that comes with modeseek, else coarsely."""
    perp_neg: bool = False
    """Oppose the other views (Perp-Neg), against several faces."""
    negative: str = ""
    """Words to move away from."""
    refine: int = 0
    """Steps on the mesh's colours afterwards."""
    seed: int = 0
    """Of every random draw."""
    size: int | None = None
    """Side of the pictures that are rendered, pixels; what the prior sees by default."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """cpu, cuda, cuda:1 or mps."""
    mp4: bool = False
    """Leave films as MP4 too; needs pip install 'modeseek[video]'."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE")] = ()
    """Any other settings by their place, as --dry-run prints them."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder to make, by default runs/METHOD-NAME-TIME-ID."""
    dry_run: bool = False
    """Print the whole configuration and do nothing."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs it, then refines the mesh where that is wanted, and says where the pages are."""
        if not self.prompt.strip():
            raise ValueError(f'a thing needs words: got {self.prompt!r}; write modeseek shape "a red cone"')
        if self.refine < 0:
            raise ValueError(f"refining takes 0 steps or more: got --refine {self.refine}")
        done = self._start(self._plain(), self.out, argv)
        if done is None or not self.refine:
            return
        mesh = done.path / "exports" / "mesh.ply"
        if not mesh.exists():
            raise ValueError(f"there is no mesh to refine: {shlex.quote(str(done.path))}/log.txt says why")
        surface = {"surface": {"path": str(mesh), "views": self.cameras, "size": self.size}}
        changed = {"generator": surface, "optimizer": {"adam": {"lr": 0.05, "fall": 0.2}}, "steps": self.refine}
        self._start(self._plain() | changed, done.path / "refined", argv)

    def _start(self, plain: dict[str, Any], out: Path | None, argv: Sequence[str]) -> Run | None:
        return RunCommand(set=self.set, out=out, dry_run=self.dry_run).start(plain, argv)

    def _plain(self) -> dict[str, Any]:
        ideal = self.prior == "renders"
        own = hasattr(look_up("method", self.method, METHODS), "scale")  # guides by itself
        scale = self.scale if self.scale is not None else 1.0 if ideal else 3.0
        method = SETTINGS.get(self.method, self.method)
        return {
            "prior": {"renders": {"caption": self.prompt}} if ideal else {"pipeline": {"path": self.prior}},
            "method": {self.method: {"scale": scale}} if own else method,
            "generator": {"nerf": {"kind": self.volume, "views": self.cameras, "size": self.size}},
            "optimizer": {"adam": RATES[self.volume]},
            "name": self.prompt[:40],
            "prompts": [] if ideal else [self.prompt],
            "views": {"words": self.views or ("fine" if self.prior == BUNDLED else "coarse"), "opposed": self.perp_neg},
            "negative": self.negative,
            "scale": 1.0 if own else scale,
            "steps": self.steps,
            "seed": self.seed,
            "device": self.device,
            "mp4": self.mp4,
        }
