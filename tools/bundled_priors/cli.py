"""`python -m tools.bundled_priors`: training of the weights that ship with modeseek."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from modeseek.cli.errors import exit_on_error


@dataclass(frozen=True)
class TrainCommand:
    """Train a small text-to-image model on rendered, captioned scenes, in Stable Diffusion's own format.

    The folder gets checkpoints, metrics.jsonl, grids of samples, and pipeline/, which diffusers and --prior load, new
    every ten minutes. Ctrl-C finishes the step at hand, saves and ends with code 75; the same command goes on, on this
    device or another, and a larger --budget trains a finished model further.

    Examples:
      python -m tools.bundled_priors train scenes --out runs/scenes --budget 2h

      python -m tools.bundled_priors train scenes --out runs/scenes --budget 6h --device cuda --batch 256

      python -m tools.bundled_priors train judge --out runs/judge --budget 40m
    """

    what: tyro.conf.Positional[Annotated[Literal["scenes", "judge"], tyro.conf.arg(metavar="scenes|judge")]]
    """scenes: the text-to-image model; judge: the small network that says what its pictures show, in one sitting. Both
    learn from scenes that are rendered as training goes on, nothing is downloaded."""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """Folder to make, or to go on with."""
    budget: Annotated[str | None, tyro.conf.arg(metavar="TIME")] = None
    """Of training, all sittings together: 2h, 90m, 1h30m. By default 2h, and 40m for the judge."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """cpu, cuda, cuda:1 or mps."""
    seed: int | None = None
    """Of weights and draws; 0 by default. A training that was begun keeps its own."""
    batch: int | None = None
    """Pictures a step of the denoiser in this sitting; 32 by default, which suits a CPU. The judge's: 64."""
    start: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """A judge whose weights to begin with, instead of random ones; for a judge only."""

    def run(self) -> None:
        """Trains, and says where the model is."""
        (self._train_classifier if self.what == "judge" else self._train_prior)()

    def _train_classifier(self) -> None:
        from modeseek.cli.terminal import run_with_progress
        from modeseek.metrics.scenes.classifier import SceneClassifier
        from tools.bundled_priors.recipe import parse_seconds
        from tools.bundled_priors.train_classifier import ClassifierRecipe, train_classifier

        lesson = ClassifierRecipe() if self.batch is None else ClassifierRecipe(batch=self.batch)
        budget = parse_seconds(self.budget or "40m")
        start = None if self.start is None else SceneClassifier.load(self.start)
        job = train_classifier(self.out, budget=budget, device=self.device, seed=self.seed or 0, recipe=lesson, start=start)
        judge = run_with_progress(job)
        told = ", ".join(f"{name} {share:.1%}" for name, share in judge.accuracy.items())
        print(f"On held-out renders: {told}\nJudge: {self.out}")

    def _train_prior(self) -> None:
        from modeseek.cli.terminal import run_with_progress
        from tools.bundled_priors.recipe import parse_seconds
        from tools.bundled_priors.train import train

        if self.start is not None:
            raise ValueError("--start is for a judge: training scenes goes on in its own --out; leave --start out")
        budget = parse_seconds(self.budget or "2h")
        job = train(self.out, budget=budget, device=self.device, seed=self.seed, batch=self.batch)
        print(f"Training: {self.out}")
        run_with_progress(job)
        print(f"Model: {self.out / 'pipeline'}")


@dataclass(frozen=True)
class SealCommand:
    """Write SHA256SUMS of a folder of weights that ships with modeseek: every file is checked when it is loaded.

    Examples:
      python -m tools.bundled_priors seal src/modeseek/data/scenes
    """

    folder: tyro.conf.Positional[Path]
    """Folder of weights."""

    def run(self) -> None:
        """Writes the checksums."""
        from modeseek.io.packaged import write_checksums

        print(f"Sealed: {write_checksums(self.folder)}")


Command = (
    Annotated[TrainCommand, tyro.conf.subcommand("train", description=TrainCommand.__doc__)]
    | Annotated[SealCommand, tyro.conf.subcommand("seal", description=SealCommand.__doc__)]
)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command; a user's mistake ends with one line on stderr and exit code 2."""
    with exit_on_error():
        tyro.cli(
            Command,
            prog="python -m tools.bundled_priors",
            description="Training of the weights that ship with modeseek.",
            args=argv,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
        ).run()
