"""`modeseek run`: any prior, method, generator and optimizer together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from modeseek.cli.follow_run import follow_run
from modeseek.cli.lookup import look_up
from modeseek.cli.sample import SampleCommand
from modeseek.cli.toy import ToyCommand
from modeseek.config.config import Config, read_config, read_yaml_file
from modeseek.config.overrides import override
from modeseek.config.priors import BUNDLED, PipelinePriorConfig, PriorConfig
from modeseek.config.registry import GENERATORS, METHODS, OPTIMIZERS, REGISTRY
from modeseek.datasets.by_name import DATASETS
from modeseek.experiments.text_to_image.defaults import METHODS as SETTINGS
from modeseek.rundir.run_dir import Run
from modeseek.runs.api import create_run
from modeseek.runs.train import train

_WHOLE = {"toy": ToyCommand, "sample": SampleCommand}
Name = Annotated[str | None, tyro.conf.arg(metavar="NAME")]


@dataclass(frozen=True)
class RunCommand:
    """Optimise a generator towards the modes of a prior, with one method: the general form of every other verb.

    A folder is made with config.yaml, checkpoints, metrics, pictures and report.html. Ctrl-C finishes the step at
    hand, saves and ends with code 75; `modeseek resume` goes on from there, bit for bit on the CPU.

    Examples:
      modeseek run --prior ring --method msd

      modeseek run --prior digits --label 3 --method sds --steps 500 --set optimizer.adam.lr=0.03

      modeseek run --prior points.csv --method msd --set method.msd.bandwidth.adaptive.end=0.2

      modeseek run runs/msd-ring-20260101T000000Z-ab12/config.yaml --seed 1

      modeseek run --prior ring --method sds --dry-run     (prints every setting and stops)
    """

    config: tyro.conf.Positional[Annotated[Path | None, tyro.conf.arg(metavar="[CONFIG]")]] = None
    """A YAML file, or the folder of a run whose config.yaml shall be run again; the options below change it."""
    prior: Annotated[str | None, tyro.conf.arg(metavar="NAME|PATH")] = None
    """fractal, spiral, pinwheel, ring, grid, digits; bundled, the text prior that comes with modeseek; the folder of a
    saved network or of a diffusers pipeline; or points (.npy, .csv). Else ring."""
    method: Name = None
    """msd, sds or sdi; `modeseek list methods` tells what they are, `modeseek list methods msd` their settings."""
    generator: Name = None
    """What is optimised: points, latent, pixels, field, nerf or surface; `modeseek list generators`."""
    optimizer: Name = None
    """adam or sgd. By default sgd with rate 1 for msd on free points (that is mean shift), else adam."""
    steps: int | None = None
    """Of the run; 400 by default."""
    seed: int | None = None
    """Of every random draw; 0 by default."""
    label: int | None = None
    """Class to seek, where the prior has classes."""
    scale: float | None = None
    """Classifier-free guidance: 1, the default, is none."""
    device: Annotated[str | None, tyro.conf.arg(metavar="DEVICE")] = None
    """cpu (default), cuda, cuda:1 or mps."""
    on_failure: Literal["stop", "rollback"] | None = None
    """When a direction is not finite or a render goes wrong: stop (default), or go back once to the last checkpoint
    with half the learning rate and other random draws."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE")] = ()
    """Any other settings by their place, as --dry-run prints them: saving.steps=50 method.sds.weight=uniform."""
    name: Annotated[str | None, tyro.conf.arg(metavar="WORD")] = None
    """A word for the folder's name; the prior's by default."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder to make, by default runs/METHOD-NAME-TIME-ID. One that exists is kept: the new one gets a number."""
    dry_run: bool = False
    """Print the whole configuration and do nothing."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs what the file and the options say."""
        plain = {} if self.config is None else read_yaml_file(self.config)
        if isinstance(plain, dict) and plain.get("verb") in _WHOLE:
            self._again(plain, argv)
            return
        self.start(plain, argv)

    def start(self, plain: Any, argv: Sequence[str]) -> Run | None:
        """Runs a configuration, changed by the options, and says where the report is; None where it only printed it."""
        config = self.resolve_config(plain)
        if self.dry_run:
            print(config.to_yaml(), end="")
            return None
        run, job = create_run(config, argv, self.out)
        if self.out is not None and run.path != self.out:
            print(f"{self.out} exists and was kept; this run is in {run.path.name}.")
        follow_run(run, train(run, job, config.steps))
        return run

    def resolve_config(self, plain: Any) -> Config:
        """The configuration: the file's, changed by the options, completed by defaults that suit each other."""
        if not isinstance(plain, dict):
            raise ValueError(f"{self.config} is no configuration: settings are wanted, one a line, such as method: msd")
        plain = {key: value for key, value in plain.items() if key != "verb" or value != "run"}
        if self.prior is not None or "prior" not in plain:
            plain["prior"] = _prior(self.prior or "ring")
        for key, names in (("method", METHODS), ("generator", GENERATORS), ("optimizer", OPTIMIZERS)):
            given = getattr(self, key)
            if given is not None:
                look_up(key, given, names)
                plain[key] = given
        plain.setdefault("method", "msd")
        for key in ("steps", "seed", "label", "scale", "device", "on_failure", "name"):
            if getattr(self, key) is not None:
                plain[key] = getattr(self, key)
        for setting in self.set:
            plain = override(plain, setting, REGISTRY, Config)
        return read_config(_completed(plain), "config" if self.config is None else self.config.name)

    def _again(self, plain: dict[str, Any], argv: Sequence[str]) -> None:
        """The config.yaml of another verb runs that verb."""
        given = {k: v for k, v in vars(self).items() if v not in (None, (), False) and k not in ("config", "out")}
        if given:
            raise ValueError(
                f"this file is for modeseek {plain['verb']}: got --{next(iter(given))}; edit the file instead"
            )
        command = _WHOLE[plain["verb"]]
        plain = {key: value for key, value in plain.items() if key != "verb"} | {"out": self.out and str(self.out)}
        REGISTRY.deserialize(command, plain, str(self.config)).run(argv)


def _prior(text: str) -> dict[str, Any]:
    """Which prior a name or path stands for."""
    path = Path(text)
    if text in DATASETS:
        return {"problem": {"name": text}}
    if text == BUNDLED or (path / "model_index.json").is_file():
        return {"pipeline": {"path": text}}
    if path.is_dir():
        return {"trained": {"path": text}}
    if path.suffix.lower() in (".npy", ".csv", ".txt", ".tsv"):
        return {"samples": {"path": text}}
    look_up("prior", text, {**DATASETS, BUNDLED: None})
    raise RuntimeError("look_up answers or raises")


def _completed(plain: dict[str, Any]) -> dict[str, Any]:
    """MSD's bandwidth from the prior where none is given, with jitter on pipelines; plain descent on free points."""
    name, settings = plain["method"], {}
    if isinstance(name, dict) and len(name) == 1:
        ((name, settings),) = name.items()
    if name != "msd" or not isinstance(settings, dict | None):
        return plain
    if "bandwidth" not in (settings or {}):
        source: PriorConfig = REGISTRY.deserialize(PriorConfig, plain["prior"], "config.prior")
        if isinstance(source, PipelinePriorConfig):
            return plain | {"method": {"msd": SETTINGS["msd"]["msd"] | (settings or {})}}
        end = source.load("cpu").bandwidth
        if end is None:
            raise ValueError(
                f"msd needs the last bandwidth of its kernel for {source.title}: got none; add --set "
                "method.msd.bandwidth.adaptive.end=H, in units of the data"
            )
        plain = plain | {"method": {"msd": (settings or {}) | {"bandwidth": {"adaptive": {"end": round(end, 6)}}}}}
    if plain.get("generator", "points") == "points" or "points" in plain.get("generator", {}):
        plain = {"optimizer": "sgd"} | plain
    return plain
