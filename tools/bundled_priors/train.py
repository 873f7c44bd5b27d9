"""Training of a text-to-image prior in a resumable folder."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from modeseek.io.atomic import atomic_folder
from modeseek.io.errors import one_line
from modeseek.io.progress import Progress
from modeseek.runs.interrupts import StopRequest, stop_on_signal
from tools.bundled_priors.lr_schedule import StageDuration, TrainingClock
from tools.bundled_priors.model import ModelParts, build_model
from tools.bundled_priors.pipeline_folder import read_like, write_continued, write_pipeline
from tools.bundled_priors.recipe import RECIPES, PriorName, StageRecipe, TrainingRecipe
from tools.bundled_priors.sample_grid import CAPTIONS, draw_samples, grid_png
from tools.bundled_priors.session import SessionSettings, TrainingSession, train_stage
from tools.bundled_priors.sources import DataSource, open_source
from tools.bundled_priors.stage_trainer import StageTrainer
from tools.bundled_priors.start import continued, find_start, start_recipe
from tools.bundled_priors.tokenizer_text import TEXT
from tools.bundled_priors.train_decoder import DecoderTrainer
from tools.bundled_priors.train_denoiser import DenoiserTrainer
from tools.bundled_priors.train_text_encoder import TextEncoderTrainer
from tools.bundled_priors.training_dir import TrainingDir
from tools.bundled_priors.update import fast_kernels
from tools.bundled_priors.vocabulary import write_vocabulary


def train(
    prior: PriorName,
    out: Path,
    settings: SessionSettings,
    *,
    seed: int | None = None,
    start: str | None = None,
    recipe: TrainingRecipe | None = None,
) -> Generator[Progress, None, None]:
    """Trains a text-to-image prior in a folder, or resumes the training in it.

    Scenes: the text encoder, on captions alone, and the image decoder, for their shares of the budget; then the
    denoiser. Emoji: the decoder, then text encoder and denoiser together. From a pipeline (`start`) only the denoiser
    is trained on. The learning rate falls to 0 along a half cosine over the budget. Called again with a larger budget,
    training resumes from the last checkpoint: finished parts stay, and the denoiser's learning rate returns to the
    longer curve at the rate of its warm-up. If the recipe counts steps instead and no processes render, resuming is
    exact, bit for bit on the CPU.

    Args:
        prior: scenes or emoji.
        out: training folder.
        settings: settings of this session.
        seed: random seed of a new training; a resumed one keeps its own.
        start: pipeline that a new training continues from: scenes, emoji or a folder; a resumed one keeps its own.
        recipe: hyperparameters of a new training; default `RECIPES[prior]`.

    Raises:
        RunInterrupted: stopped by a signal after a checkpoint; the message holds the command to resume.
        RunFailed: non-finite loss.
        ValueError: a folder with other content, a damaged training, an unavailable device, or a pipeline of another
            shape.
    """
    device = _device(settings.device)
    directory = TrainingDir(out)
    start_folder = None if start is None else find_start(start)
    if TrainingDir.exists(out):
        recipe = directory.recipe
        _check_same(directory, recipe, prior, seed, start_folder)
        source = open_source(recipe, settings.icons, settings.workers)
    else:
        recipe = _with_session(RECIPES[prior] if recipe is None else recipe, settings, seed, start_folder)
        source = open_source(recipe, settings.icons, settings.workers)
        TrainingDir.create(out, recipe, lambda: [*source.corpus(), *TEXT.splitlines()], start_folder)
    network = _network(recipe.network, settings)
    with directory.lock(), stop_on_signal() as stop_request, fast_kernels(device):
        stages = _Stages(directory, settings, device, stop_request, recipe, source)
        parts, begin = (yield from stages.train_parts()) if recipe.start is None else (stages.start_parts(), 0.0)
        yield from stages.train_denoiser(parts, begin, network)


class _Stages:
    """Stages of a training: what each begins with, and what it leaves."""

    def __init__(
        self,
        directory: TrainingDir,
        settings: SessionSettings,
        device: torch.device,
        stop_request: StopRequest,
        recipe: TrainingRecipe,
        source: DataSource,
    ) -> None:
        self.directory, self.settings, self.device = directory, settings, device
        self.stop_request, self.recipe, self.source = stop_request, recipe, source

    def start_parts(self) -> ModelParts:
        """Components of the pipeline that the training continues from."""
        return read_like(self.directory.start, self.recipe.model)

    def train_parts(self) -> Generator[Progress, None, tuple[ModelParts, float]]:
        """Trains the components before the denoiser unless they are finished; returns all, and the time so far."""
        recipe, device = self.recipe, self.device

        def fresh() -> ModelParts:
            return build_model(recipe.model, self.directory.path / "tokenizer", recipe.seed)

        parts, begin = fresh(), 0.0
        if recipe.words is not None:
            stage = recipe.words
            loaded = self.directory.load_part("text_encoder")
            if loaded is None:
                trained = fresh()
                trainer = TextEncoderTrainer(recipe, stage, device, trained)
                seconds = yield from self._train_part(trainer, stage, begin)
                self.directory.save_part("text_encoder", trained.text_encoder, {"seconds": seconds})
                loaded = trained.text_encoder, seconds
            parts, begin = replace(parts, text_encoder=loaded[0]), loaded[1]
        loaded = self.directory.load_part("vae")
        if loaded is None:
            trained = fresh()
            trainer = DecoderTrainer(recipe, recipe.autoencoder, device, self.source, trained)
            seconds = yield from self._train_part(trainer, recipe.autoencoder, begin)
            self.directory.save_part("vae", trained.vae, {"seconds": seconds})
            loaded = trained.vae, seconds
        return replace(parts, vae=loaded[0]), loaded[1]

    def _train_part(self, trainer: StageTrainer, stage: StageRecipe, begin: float) -> Generator[Progress, None, float]:
        session = self._session(begin)
        longest = stage.share * self.settings.budget
        end = begin + (longest if stage.cap is None else min(stage.cap, longest))

        def evaluate() -> None:
            session.log(trainer, trainer.evaluate())

        yield from train_stage(session, trainer, StageDuration(begin, end, stage.steps), evaluate)
        evaluate()
        return session.clock.seconds

    def train_denoiser(self, parts: ModelParts, begin: float, stage: StageRecipe) -> Generator[Progress, None, None]:
        """Trains the denoiser, and the text encoder where no stage trained it, to the end of the budget."""
        session, started = self._session(begin), self.recipe.start is not None
        frozen = started or self.recipe.words is not None
        trainer = DenoiserTrainer(self.recipe, stage, self.device, self.source, parts, frozen)
        duration = StageDuration(begin, max(self.settings.budget, begin), stage.steps)

        def evaluate() -> None:
            session.log(trainer, trainer.evaluate())
            self._write(trainer)

        yield from train_stage(session, trainer, duration, evaluate, evaluate_first=started)
        yield Progress("drawing samples", 0, 1)
        evaluate()
        yield Progress("drawing samples", 1, 1)

    def _write(self, trainer: DenoiserTrainer) -> None:
        """Writes the pipeline with averaged weights, and a grid of its samples."""
        recipe, directory, target = self.recipe, self.directory, self.directory.path / "pipeline"
        with atomic_folder(target) as scratch:
            if recipe.start is None:
                write_pipeline(scratch, trainer.averaged_model())
                write_vocabulary(scratch, self.source.texts())
            else:
                write_continued(scratch, directory.start, trainer.averaged_model())
        images = draw_samples(
            target, CAPTIONS[recipe.prior], recipe.scale, recipe.sampling, recipe.seed, str(self.device)
        )
        directory.write_grid(f"step-{trainer.step:08d}", grid_png(images))

    def _session(self, seconds: float) -> TrainingSession:
        clock = TrainingClock(seconds)
        return TrainingSession(self.directory, self.settings, self.device, clock, self.stop_request)


def _network(stage: StageRecipe, settings: SessionSettings) -> StageRecipe:
    """The denoiser's stage with the session's settings."""
    changes: dict[str, Any] = {"batch": settings.batch, "lr": settings.lr}
    return replace(stage, **{name: value for name, value in changes.items() if value is not None})


def _with_session(
    recipe: TrainingRecipe, settings: SessionSettings, seed: int | None, start: Path | None
) -> TrainingRecipe:
    """Recipe of a new training, with the settings of its first session."""
    recipe = recipe if seed is None else replace(recipe, seed=seed)
    recipe = recipe if start is None else continued(recipe, start)
    return replace(recipe, network=_network(recipe.network, settings))


def _check_same(
    directory: TrainingDir, recipe: TrainingRecipe, prior: PriorName, seed: int | None, start: Path | None
) -> None:
    """Refuses to resume a training as another one."""
    out, begun = directory.path, recipe.start
    if recipe.prior != prior:
        raise ValueError(f"--out must be a training of {prior}, got {out}, which trains {recipe.prior}; name another")
    if seed is not None and seed != recipe.seed:
        raise ValueError(f"seed of {out} must stay {recipe.seed}, got {seed}; leave --seed out or name another folder")
    if start is not None and (begun is None or start_recipe(start).sha256 != begun.sha256):
        kept = "random weights" if begun is None else begun.name
        raise ValueError(f"start of {out} must stay {kept}, got {start}; leave --start out or name another folder")


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = one_line(error, 120)
        raise ValueError(
            f"device must be available on this machine, got {name!r}: {reason}; try --device cpu"
        ) from error
    return device
