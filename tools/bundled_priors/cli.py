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

    The folder gets checkpoints, metrics.jsonl, sample grids, and pipeline/ for diffusers and --prior, updated every ten
    minutes. Ctrl-C finishes the current step, saves and exits with code 75; the same command resumes, on this device or
    another, and a larger --budget trains a finished model further.

    Examples:
      python -m tools.bundled_priors train scenes --out runs/scenes --budget 2h

      python -m tools.bundled_priors train scenes --out runs/scenes --budget 6h --device cuda --batch 256

      python -m tools.bundled_priors train judge --out runs/judge --budget 40m
    """

    what: tyro.conf.Positional[Annotated[Literal["scenes", "judge"], tyro.conf.arg(metavar="scenes|judge")]]
    """Model to train. scenes: text-to-image model; judge: scene classifier, in a single session. Both are trained on
    scenes rendered during training; nothing is downloaded."""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """Training folder, new or to resume."""
    budget: Annotated[str | None, tyro.conf.arg(metavar="TIME")] = None
    """Total training time across all sessions, e.g. 2h, 90m, 1h30m; default 2h, and 40m for judge."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """Device: cpu, cuda, cuda:1 or mps."""
    seed: int | None = None
    """Random seed; default 0. A resumed training keeps its own."""
    batch: int | None = None
    """Batch size of the denoiser in this session; default 32, which suits a CPU, and 64 for judge."""
    start: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder of a scene classifier with the initial weights; default random weights. For judge only."""

    def run(self) -> None:
        """Trains, and prints the path of the model."""
        (self._train_classifier if self.what == "judge" else self._train_prior)()

    def _train_classifier(self) -> None:
        from modeseek.cli.terminal import run_with_progress
        from modeseek.metrics.scenes.classifier import SceneClassifier
        from tools.bundled_priors.recipe import parse_seconds
        from tools.bundled_priors.train_classifier import ClassifierRecipe, train_classifier

        recipe = ClassifierRecipe() if self.batch is None else ClassifierRecipe(batch=self.batch)
        budget = parse_seconds(self.budget or "40m")
        start = None if self.start is None else SceneClassifier.load(self.start)
        job = train_classifier(
            self.out, budget=budget, device=self.device, seed=self.seed or 0, recipe=recipe, start=start
        )
        classifier = run_with_progress(job)
        accuracy = ", ".join(f"{name} {share:.1%}" for name, share in classifier.accuracy.items())
        print(f"Accuracy on held-out renders: {accuracy}\nScene classifier: {self.out}")

    def _train_prior(self) -> None:
        from modeseek.cli.terminal import run_with_progress
        from tools.bundled_priors.recipe import parse_seconds
        from tools.bundled_priors.train import train

        if self.start is not None:
            raise ValueError("--start must be used with judge only; scenes resumes from its own --out, without --start")
        budget = parse_seconds(self.budget or "2h")
        job = train(self.out, budget=budget, device=self.device, seed=self.seed, batch=self.batch)
        print(f"Training: {self.out}")
        run_with_progress(job)
        print(f"Model: {self.out / 'pipeline'}")


@dataclass(frozen=True)
class SealCommand:
    """Write SHA256SUMS of a folder of bundled weights; every file is checked against it when loaded.

    Examples:
      python -m tools.bundled_priors seal src/modeseek/data/scenes
    """

    folder: tyro.conf.Positional[Path]
    """Folder of bundled weights."""

    def run(self) -> None:
        """Writes the checksums."""
        from modeseek.io.packaged import write_checksums

        print(f"Sealed: {write_checksums(self.folder)}")


Command = (
    Annotated[TrainCommand, tyro.conf.subcommand("train", description=TrainCommand.__doc__)]
    | Annotated[SealCommand, tyro.conf.subcommand("seal", description=SealCommand.__doc__)]
)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command; a user error prints one line on stderr and exits with code 2."""
    with exit_on_error():
        tyro.cli(
            Command,
            prog="python -m tools.bundled_priors",
            description="Training of the weights that ship with modeseek.",
            args=argv,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
        ).run()
