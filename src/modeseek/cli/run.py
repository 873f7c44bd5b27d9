"""`modeseek run`: optimisation with any prior, method, generator and optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from modeseek.cli import options
from modeseek.cli.follow_run import start_run
from modeseek.cli.options import option
from modeseek.cli.sample import SampleCommand
from modeseek.cli.toy import ToyCommand
from modeseek.config.config import read_yaml_file
from modeseek.config.defaults import NAMED_PRIORS, configure, optimizer_settings
from modeseek.config.lookup import look_up
from modeseek.config.paths import absolute_paths, find_paths
from modeseek.config.priors import (
    NetworkPriorConfig,
    PipelinePriorConfig,
    PriorConfig,
    SamplesPriorConfig,
)
from modeseek.config.registry import ALL_METHODS, GENERATORS, PRIORS, REGISTRY
from modeseek.io.points import POINT_SUFFIXES
from modeseek.rundir.run_dir import Run

_SETTINGS = "method generator steps seed label scale shift inner_steps device on_failure name".split()
_OF_TEXT = {"prompt": "prompts", "negative": "negative", "source": "source", "tracker": "trackers"}
_CHECKPOINTS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf")  # the pipeline says which it takes
_RERUNNABLE = {"toy": ToyCommand, "sample": SampleCommand}


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

    config: tyro.conf.Positional[
        Annotated[
            Path | None,
            option(
                "[CONFIG]", "YAML configuration file, or a run folder whose config.yaml to rerun; options override it."
            ),
        ]
    ] = None
    prior: Annotated[
        str | None,
        option(
            "NAME|PATH",
            "Prior: fractal, spiral, pinwheel, ring (default), grid or digits; scenes or emoji, the text-to-image "
            "priors that ship with modeseek; the folder of a saved network or of a diffusers pipeline (./emoji if so "
            "named); or a points file (.npy, .csv).",
        ),
    ] = None
    method: options.MethodName = None
    generator: Annotated[
        str | None,
        option(
            "NAME",
            "Generator: points, latent, pixels, field, nerf or surface; `modeseek list generators`. Default: field "
            "under a text-to-image prior, else points.",
        ),
    ] = None
    optimizer: Annotated[
        str | None,
        option("NAME", "Optimizer: adam or sgd. Default: sgd, rate 1, for msd on points (mean shift), else adam."),
    ] = None
    lr: options.LearningRate = None
    steps: Annotated[int | None, option("N", "Number of optimisation steps. Default: 400.")] = None
    seed: Annotated[int | None, option("N", "Random seed. Default: 0.")] = None
    prompt: Annotated[tuple[str, ...], option("PROMPT [PROMPT ...]", "Text prompts, for text-to-image priors.")] = ()
    negative: options.Negative = ""
    source: options.Source = ""
    label: Annotated[int | None, option("N", "Class to condition on, for class-conditional priors.")] = None
    scale: Annotated[
        float | None,
        option(
            "SCALE",
            "Classifier-free guidance scale (--guidance-scale); 1 is none. Default: with a prompt that of the method "
            "under the prior, else 1.",
        ),
    ] = None
    shift: Annotated[
        int | None,
        option(
            "PIXELS",
            "Largest random shift of rendered images at every step, before they are encoded; 0 is none. Default: 2 for "
            "pixels and fields under scenes and emoji, else 0.",
        ),
    ] = None
    inner_steps: Annotated[
        int | None,
        option(
            "N",
            "Number of optimizer steps towards the target of each direction, for methods that have one: more let the "
            "generator follow faster at equal prior calls. Default: 4 for pixels and fields and 2 for volumes under "
            "scenes and emoji, else 1.",
        ),
    ] = None
    device: Annotated[
        str | None,
        option(
            "DEVICE", "Device: auto (the default: cuda, else mps, else cpu; toys on the cpu), cpu, cuda, cuda:1 or mps."
        ),
    ] = None
    on_failure: Annotated[
        Literal["stop", "rollback"] | None,
        option(
            "stop|rollback",
            "Response to a non-finite direction or a degenerate render: stop (default), or rollback: return once to "
            "the last checkpoint with half the learning rate and new random draws.",
        ),
    ] = None
    tracker: options.Trackers = ()
    set: options.Settings = ()
    name: Annotated[
        str | None, option("WORD", "Name of the run, part of the folder name. Default: the name of the prior.")
    ] = None
    out: options.Out = None
    dry_run: bool = False
    """Dry run: print the full configuration and exit."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the configuration given by the file and the options."""
        if self.config is not None and not self.config.exists() and not self.config.suffix:
            raise ValueError(
                f"CONFIG must be a YAML file or a run folder, got {str(self.config)!r}, which is neither; a prompt is "
                f'given as --prompt "{self.config}"'
            )
        plain = {} if self.config is None else read_yaml_file(self.config)
        if isinstance(plain, dict) and plain.get("verb") in _RERUNNABLE:
            self._rerun(plain, argv)
            return
        if isinstance(plain, dict):
            plain = self._with_paths(plain) | self._given_settings()
        config = configure(plain, self.set, "config" if self.config is None else self.config.name)
        config = configure(config.to_dict(), optimizer_settings(config, self.optimizer, self.lr))
        start_run(config, argv, self.out, dry_run=self.dry_run)

    def _with_paths(self, plain: dict[str, Any]) -> dict[str, Any]:
        """Plain data of the file with absolute paths: relative ones refer to its folder, else to the working folder."""
        if self.config is None:
            return plain
        folder = self.config if self.config.is_dir() else self.config.parent
        if (folder / "status.json").is_file():
            return find_paths(plain, folder, Run(folder).began_in)
        return absolute_paths(plain, folder)

    def _given_settings(self) -> dict[str, Any]:
        """Plain data of the settings that were given as options."""
        given = {key: getattr(self, key) for key in _SETTINGS if getattr(self, key) is not None}
        given |= {key: value for name, key in _OF_TEXT.items() if (value := getattr(self, name))}
        for key, names in (("method", ALL_METHODS), ("generator", GENERATORS)):
            if key in given:
                look_up(key, given[key], names)
        return given if self.prior is None else given | {"prior": REGISTRY.serialize(_parse_prior(self.prior))}

    def _rerun(self, plain: dict[str, Any], argv: Sequence[str]) -> None:
        """Runs the verb that wrote the config.yaml."""
        options = {k: v for k, v in vars(self).items() if v not in (None, (), "", False) and k not in ("config", "out")}
        if options:
            raise ValueError(
                f"--{next(iter(options))} cannot override settings of modeseek {plain['verb']}; edit the file instead"
            )
        command = _RERUNNABLE[plain["verb"]]
        assert self.config is not None
        folder = self.config if self.config.is_dir() else self.config.parent
        plain = {key: value for key, value in plain.items() if key != "verb"}
        plain = absolute_paths(plain, folder, command) | {"out": self.out and str(self.out)}
        REGISTRY.deserialize(command, plain, str(self.config)).run(argv)


def _parse_prior(text: str) -> PriorConfig:
    """Prior that a name or path denotes."""
    path = Path(text).expanduser()
    if text in NAMED_PRIORS:
        return NAMED_PRIORS[text]
    if (path / "model_index.json").is_file() or path.suffix.lower() in _CHECKPOINTS:
        return PipelinePriorConfig(text)
    if path.is_dir():
        return NetworkPriorConfig(path)
    if path.is_file() or path.suffix.lower() in POINT_SUFFIXES:
        return SamplesPriorConfig(path)
    if PRIORS.is_foreign(text):
        return REGISTRY.deserialize(PriorConfig, text, "prior")
    return look_up("prior", text, NAMED_PRIORS)
