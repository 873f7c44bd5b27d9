"""`modeseek run`: optimisation with any prior, method, generator and optimizer."""

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
from modeseek.config.defaults import IMAGE_METHODS
from modeseek.config.overrides import override
from modeseek.config.priors import BUNDLED, PipelinePriorConfig, PriorConfig
from modeseek.config.registry import GENERATORS, METHODS, OPTIMIZERS, REGISTRY
from modeseek.datasets.by_name import DATASETS
from modeseek.rundir.run_dir import Run
from modeseek.runs.api import create_run
from modeseek.runs.train import train

_RERUNNABLE = {"toy": ToyCommand, "sample": SampleCommand}
Name = Annotated[str | None, tyro.conf.arg(metavar="NAME")]


@dataclass(frozen=True)
class RunCommand:
    """Optimise a generator towards the modes of a prior, with any method, prior, generator and optimizer.

    Writes a run folder with config.yaml, checkpoints, metrics, images and report.html. Ctrl-C finishes the current
    step, saves a checkpoint and exits with code 75; `modeseek resume` continues bit for bit on the CPU.

    Examples:
      modeseek run --prior ring --method msd

      modeseek run --prior digits --label 3 --method sds --steps 500 --set optimizer.adam.lr=0.03

      modeseek run --prior points.csv --method msd --set method.msd.bandwidth.adaptive.end=0.2

      modeseek run runs/msd-ring-20260101T000000Z-ab12/config.yaml --seed 1

      modeseek run --prior ring --method sds --dry-run     (prints all settings and exits)
    """

    config: tyro.conf.Positional[Annotated[Path | None, tyro.conf.arg(metavar="[CONFIG]")]] = None
    """YAML configuration file, or a run folder whose config.yaml to rerun; the options below override it."""
    prior: Annotated[str | None, tyro.conf.arg(metavar="NAME|PATH")] = None
    """Prior: fractal, spiral, pinwheel, ring, grid or digits; bundled, the bundled text-to-image model; the folder of a
    saved network or of a diffusers pipeline; or a points file (.npy, .csv). Default: ring."""
    method: Name = None
    """Method name; `modeseek list methods` lists them, `modeseek list methods msd` shows the settings of one."""
    generator: Name = None
    """Generator to optimise: points, latent, pixels, field, nerf or surface; see `modeseek list generators`."""
    optimizer: Name = None
    """Optimizer: adam or sgd. Default: sgd with learning rate 1 for msd on points (mean shift), else adam."""
    steps: int | None = None
    """Number of optimisation steps; default 400."""
    seed: int | None = None
    """Random seed; default 0."""
    label: int | None = None
    """Class to condition on, for class-conditional priors."""
    scale: float | None = None
    """Classifier-free guidance scale; default 1 (none)."""
    device: Annotated[str | None, tyro.conf.arg(metavar="DEVICE")] = None
    """Device: cpu (default), cuda, cuda:1 or mps."""
    on_failure: Literal["stop", "rollback"] | None = None
    """Response to a non-finite direction or a degenerate render: stop (default), or rollback: return once to the last
    checkpoint with half the learning rate and new random draws."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE")] = ()
    """Any other settings by dotted key, as printed by --dry-run: saving.steps=50 method.sds.weight=uniform."""
    name: Annotated[str | None, tyro.conf.arg(metavar="WORD")] = None
    """Name of the run, part of the folder name; default: the name of the prior."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Run folder to create; default runs/METHOD-NAME-TIME-ID. If it exists, a number is appended."""
    dry_run: bool = False
    """Dry run: print the full configuration and exit."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the configuration given by the file and the options."""
        plain = {} if self.config is None else read_yaml_file(self.config)
        if isinstance(plain, dict) and plain.get("verb") in _RERUNNABLE:
            self._rerun(plain, argv)
            return
        self.start(plain, argv)

    def start(self, plain: Any, argv: Sequence[str]) -> Run | None:
        """Runs a configuration overridden by the options and prints the path of the report; None for a dry run."""
        config = self.resolve_config(plain)
        if self.dry_run:
            print(config.to_yaml(), end="")
            return None
        run, job = create_run(config, argv, self.out)
        if self.out is not None and run.path != self.out:
            print(f"{self.out} exists and is kept; this run is in {run.path.name}.")
        follow_run(run, train(run, job, config.steps))
        return run

    def resolve_config(self, plain: Any) -> Config:
        """Configuration of a file, overridden by the options and completed by defaults."""
        if not isinstance(plain, dict):
            raise ValueError(f"{self.config} must hold settings, one per line; try method: msd")
        plain = {key: value for key, value in plain.items() if key != "verb" or value != "run"}
        if self.prior is not None or "prior" not in plain:
            plain["prior"] = _parse_prior(self.prior or "ring")
        for key, names in (("method", METHODS), ("generator", GENERATORS), ("optimizer", OPTIMIZERS)):
            name = getattr(self, key)
            if name is not None:
                look_up(key, name, names)
                plain[key] = name
        plain.setdefault("method", "msd")
        for key in ("steps", "seed", "label", "scale", "device", "on_failure", "name"):
            if getattr(self, key) is not None:
                plain[key] = getattr(self, key)
        for setting in self.set:
            plain = override(plain, setting, REGISTRY, Config)
        return read_config(_with_defaults(plain), "config" if self.config is None else self.config.name)

    def _rerun(self, plain: dict[str, Any], argv: Sequence[str]) -> None:
        """Runs the verb that wrote the config.yaml."""
        options = {k: v for k, v in vars(self).items() if v not in (None, (), False) and k not in ("config", "out")}
        if options:
            raise ValueError(
                f"--{next(iter(options))} cannot override settings of modeseek {plain['verb']}; edit the file instead"
            )
        command = _RERUNNABLE[plain["verb"]]
        plain = {key: value for key, value in plain.items() if key != "verb"} | {"out": self.out and str(self.out)}
        REGISTRY.deserialize(command, plain, str(self.config)).run(argv)


def _parse_prior(text: str) -> dict[str, Any]:
    """Settings of the prior that a name or path denotes."""
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
    raise RuntimeError("unreachable: look_up raises for unknown names")


def _with_defaults(plain: dict[str, Any]) -> dict[str, Any]:
    """Adds defaults: bandwidth of MSD from the prior, jitter on pipelines, SGD on points."""
    name, settings = plain["method"], {}
    if isinstance(name, dict) and len(name) == 1:
        ((name, settings),) = name.items()
    if name != "msd" or not isinstance(settings, dict | None):
        return plain
    if "bandwidth" not in (settings or {}):
        source: PriorConfig = REGISTRY.deserialize(PriorConfig, plain["prior"], "config.prior")
        if isinstance(source, PipelinePriorConfig):
            return plain | {"method": {"msd": IMAGE_METHODS["msd"]["msd"] | (settings or {})}}
        end = source.load("cpu").bandwidth
        if end is None:
            raise ValueError(
                f"msd needs the final kernel bandwidth for {source.title}, got none; try --set "
                "method.msd.bandwidth.adaptive.end=H, in units of the data"
            )
        plain = plain | {"method": {"msd": (settings or {}) | {"bandwidth": {"adaptive": {"end": round(end, 6)}}}}}
    if plain.get("generator", "points") == "points" or "points" in plain.get("generator", {}):
        plain = {"optimizer": "sgd"} | plain
    return plain
