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
    """Train a small text-to-image model in Stable Diffusion's own format, from nothing or on from shipped weights.

    The folder gets checkpoints, metrics.jsonl, sample grids, and pipeline/ for diffusers and --prior, updated every ten
    minutes. Ctrl-C finishes the current step, saves and exits with code 75; the same command resumes, on this device or
    another, and a larger --budget trains a finished model further.

    Examples:
      python -m tools.bundled_priors train scenes --out runs/scenes --budget 2h

      python -m tools.bundled_priors train emoji --out runs/emoji --icons icons --start emoji --budget 8h

      python -m tools.bundled_priors train scenes --out runs/gpu --start scenes --device cuda --batch 1024 --workers 14

      python -m tools.bundled_priors train judge --out runs/judge --budget 40m
    """

    what: tyro.conf.Positional[
        Annotated[Literal["scenes", "emoji", "judge"], tyro.conf.arg(metavar="scenes|emoji|judge")]
    ]
    """Model to train. scenes: text-to-image model of scenes that are rendered during training; emoji: text-to-image
    model of the drawings in --icons; judge: scene classifier, in a single session. Nothing is downloaded."""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """Training folder, new or to resume."""
    budget: Annotated[str | None, tyro.conf.arg(metavar="TIME")] = None
    """Total training time across all sessions, e.g. 2h, 90m, 1h30m; default 2h, and 40m for judge."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = "cpu"
    """Device: cpu, cuda, cuda:1 or mps."""
    seed: int | None = None
    """Random seed; default 0. A resumed training keeps its own."""
    batch: int | None = None
    """Batch size of the denoiser; default 32, which suits a CPU, and 64 for judge. A GPU suits 1024."""
    lr: float | None = None
    """Peak learning rate of the denoiser; default 0.0015, and 0.001 with --start. Not for judge."""
    start: Annotated[str | None, tyro.conf.arg(metavar="PIPELINE")] = None
    """Pipeline whose denoiser is trained on, all else frozen: scenes, emoji, or a folder; a resumed training keeps its
    own. For judge: folder of a scene classifier with the initial weights. Default: random weights."""
    icons: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder with the npm packages of the drawings, for emoji."""
    workers: int = 0
    """Processes that render scenes beside the training; default none: they are rendered between steps."""

    def run(self) -> None:
        """Trains, and prints the path of the model."""
        if self.what == "judge":
            self._train_classifier()
        else:
            self._train_prior(self.what)

    def _train_classifier(self) -> None:
        from modeseek.io.progress_bars import run_with_progress
        from modeseek.metrics.scenes.classifier import SceneClassifier
        from tools.bundled_priors.recipe import parse_seconds
        from tools.bundled_priors.train_classifier import ClassifierRecipe, train_classifier

        for name, value in {"--lr": self.lr, "--icons": self.icons, "--workers": self.workers or None}.items():
            if value is not None:
                raise ValueError(f"{name} must not be set for judge, got {value}; it is an option of scenes or emoji")
        recipe = ClassifierRecipe() if self.batch is None else ClassifierRecipe(batch=self.batch)
        budget = parse_seconds(self.budget or "40m")
        start = None if self.start is None else SceneClassifier.load(Path(self.start))
        job = train_classifier(
            self.out, budget=budget, device=self.device, seed=self.seed or 0, recipe=recipe, start=start
        )
        classifier = run_with_progress(job)
        accuracy = ", ".join(f"{name} {share:.1%}" for name, share in classifier.accuracy.items())
        print(f"Accuracy on held-out renders: {accuracy}\nScene classifier: {self.out}")

    def _train_prior(self, prior: Literal["scenes", "emoji"]) -> None:
        from modeseek.io.progress_bars import run_with_progress
        from tools.bundled_priors.recipe import parse_seconds
        from tools.bundled_priors.session import SessionSettings
        from tools.bundled_priors.train import train

        budget = parse_seconds(self.budget or "2h")
        settings = SessionSettings(budget, self.device, self.batch, self.lr, self.workers, self.icons)
        print(f"Training: {self.out}")
        run_with_progress(train(prior, self.out, settings, seed=self.seed, start=self.start))
        print(f"Model: {self.out / 'pipeline'}")


@dataclass(frozen=True)
class PackCommand:
    """Pack a trained pipeline as modeseek ships it: half precision, card, history of its training, checksums.

    Figures of the card come from a run of `modeseek exam`.

    Examples:
      python -m tools.bundled_priors pack runs/scenes scenes --exam runs/exam-scenes

      python -m tools.bundled_priors pack runs/emoji emoji --exam runs/exam-emoji --to runs/packed
    """

    source: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FOLDER")]]
    """Training folder, or pipeline folder with its training.json."""
    prior: tyro.conf.Positional[Annotated[Literal["scenes", "emoji"], tyro.conf.arg(metavar="scenes|emoji")]]
    """Prior that the pipeline is."""
    exam: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """Run folder of an exam of these weights; default: the card has no figures."""
    to: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder to write, replaced if it is there; default src/modeseek/data/PRIOR of this checkout."""

    def run(self) -> None:
        """Packs the pipeline and prints its path."""
        from tools.bundled_priors.pack import pack

        print(f"Packed: {pack(self.source, self.prior, exam=self.exam, to=self.to)}")


@dataclass(frozen=True)
class SealCommand:
    """Write SHA256SUMS of a folder of bundled weights; every file is checked against it when loaded.

    `pack` does this for pipelines; the scene classifier is sealed after it was trained.

    Examples:
      python -m tools.bundled_priors seal src/modeseek/data/judge
    """

    folder: tyro.conf.Positional[Path]
    """Folder of bundled weights."""

    def run(self) -> None:
        """Writes the checksums."""
        from modeseek.io.packaged import write_checksums

        print(f"Sealed: {write_checksums(self.folder)}")


Command = (
    Annotated[TrainCommand, tyro.conf.subcommand("train", description=TrainCommand.__doc__)]
    | Annotated[PackCommand, tyro.conf.subcommand("pack", description=PackCommand.__doc__)]
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
