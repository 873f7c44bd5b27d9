"""Training of the text-to-image prior in a resumable folder."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from modeseek.io.atomic import atomic_folder, write_synced
from modeseek.io.errors import one_line
from modeseek.io.progress import Progress
from modeseek.runs.interrupts import RunFailed, RunInterrupted, StopRequest, stop_on_signal
from tools.bundled_priors.lr_schedule import StageDuration, TrainingClock
from tools.bundled_priors.model import build_model, write_pipeline
from tools.bundled_priors.model_card import model_card
from tools.bundled_priors.recipe import TrainingRecipe
from tools.bundled_priors.sample_grid import CAPTIONS, curves_png, draw_samples, grid_png
from tools.bundled_priors.stage_trainer import StageTrainer
from tools.bundled_priors.train_decoder import DecoderTrainer
from tools.bundled_priors.train_denoiser import DenoiserTrainer
from tools.bundled_priors.train_text_encoder import TextEncoderTrainer
from tools.bundled_priors.training_dir import TrainingDir

_SAVE_EVERY, _EVALUATE_EVERY, _EVALUATE_FIRST = 180.0, 600.0, 180.0  # seconds
_LOG_EVERY = 20  # steps


@dataclass(frozen=True)
class TrainingSession:
    """Session of a training: one call of `python -m tools.bundled_priors train scenes`.

    Attributes:
        directory: training folder.
        budget: training time of all sessions, seconds.
        device: device of the networks.
        clock: training time so far.
        stop_request: request to stop by a signal.
        batch: batch size of the denoiser in this session, or None for the recipe's.
    """

    directory: TrainingDir
    budget: float
    device: torch.device
    clock: TrainingClock
    stop_request: StopRequest
    batch: int | None = None

    @property
    def resume_command(self) -> str:
        """Command that resumes the training."""
        return f"python -m tools.bundled_priors train scenes --out {self.directory.path} --budget {self.budget / 60:g}m"


def train(
    out: Path,
    *,
    budget: float,
    device: str = "cpu",
    seed: int | None = None,
    batch: int | None = None,
    recipe: TrainingRecipe | None = None,
) -> Generator[Progress, None, None]:
    """Trains the text-to-image prior in a folder, or resumes the training in it.

    First the text encoder and the image decoder, for their shares of the budget; then the denoiser. The learning rate
    falls to 0 along a half cosine over the budget. Called again with a larger budget, training resumes from the last
    checkpoint: finished parts stay, and the denoiser's learning rate returns to the longer curve at the rate of its
    warm-up. If the recipe counts steps instead, resuming is exact, bit for bit on the CPU.

    Args:
        out: training folder.
        budget: training time of all sessions, seconds.
        device: device of the networks: cpu, cuda, cuda:1 or mps.
        seed: random seed of a new training; a resumed one keeps its own.
        batch: batch size of the denoiser in this session.
        recipe: hyperparameters of a new training; default `TrainingRecipe()`.

    Raises:
        RunInterrupted: stopped by a signal after a checkpoint; the message holds the command to resume.
        RunFailed: non-finite loss.
        ValueError: a folder with other content, a damaged training, or an unavailable device.
    """
    if batch is not None and batch < 1:
        raise ValueError(f"batch size must be at least 1, got {batch}; leave --batch out for the default")
    torch_device, new_recipe = _device(device), TrainingRecipe() if recipe is None else recipe
    directory = TrainingDir.open(out, new_recipe if seed is None else replace(new_recipe, seed=seed))
    recipe = directory.recipe
    if seed is not None and seed != recipe.seed:
        raise ValueError(f"seed of {out} must stay {recipe.seed}, got {seed}; leave --seed out or name another folder")
    with directory.lock(), stop_on_signal() as stop_request:

        def session_at(seconds: float) -> TrainingSession:
            return TrainingSession(directory, budget, torch_device, TrainingClock(seconds), stop_request, batch)

        text_encoder, begin = yield from _train_part(session_at(0.0), recipe, "text_encoder")
        vae, begin = yield from _train_part(session_at(begin), recipe, "vae")
        yield from _train_denoiser(session_at(begin), recipe, text_encoder, vae)


def _train_part(
    session: TrainingSession, recipe: TrainingRecipe, part: Literal["text_encoder", "vae"]
) -> Generator[Progress, None, tuple[Any, float]]:
    """Trains the text encoder or autoencoder unless it is finished; returns it and the training time at its end."""
    directory, begin = session.directory, session.clock.before
    finished = directory.load_part(part)
    if finished is None:
        index = 0 if part == "text_encoder" else 1
        parts = build_model(recipe.model, directory.path / "tokenizer", recipe.seed)
        trainer = (
            DecoderTrainer(recipe, parts.vae, session.device)
            if index
            else TextEncoderTrainer(recipe, parts, session.device)
        )
        end = begin + min(recipe.caps[index], recipe.shares[index] * session.budget)
        yield from _train_stage(
            session, trainer, StageDuration(begin, end, None if recipe.steps is None else recipe.steps[index])
        )
        metrics, seconds = trainer.evaluate(), session.clock.seconds
        directory.log({"stage": trainer.name, "step": trainer.step, "seconds": round(seconds, 1)} | metrics)
        finished = getattr(parts, part), seconds
        directory.save_part(part, finished[0], {"seconds": seconds, "step": trainer.step} | metrics)
    return finished


def _train_denoiser(
    session: TrainingSession, recipe: TrainingRecipe, text_encoder: Any, vae: Any
) -> Generator[Progress, None, None]:
    if session.batch is not None:
        recipe = replace(recipe, network=replace(recipe.network, batch=session.batch))
    parts = build_model(recipe.model, session.directory.path / "tokenizer", recipe.seed)
    trainer = DenoiserTrainer(recipe, replace(parts, text_encoder=text_encoder, vae=vae), session.device)
    begin = session.clock.before
    duration = StageDuration(begin, max(session.budget, begin), None if recipe.steps is None else recipe.steps[2])
    yield from _train_stage(session, trainer, duration)
    yield Progress("drawing samples", 0, 1)
    _evaluate(session, trainer)
    yield Progress("drawing samples", 1, 1)


def _train_stage(
    session: TrainingSession, trainer: StageTrainer, duration: StageDuration
) -> Generator[Progress, None, None]:
    """Trains one stage from its newest intact checkpoint to its end."""
    directory, clock = session.directory, session.clock
    _restore(session, trainer)
    yield from trainer.fill_pool()
    last_saved, last_evaluated = clock.seconds, clock.seconds - _EVALUATE_EVERY + _EVALUATE_FIRST
    losses: list[float] = []
    while (progress := duration.progress(trainer.step, clock.seconds)) < 1:
        losses.append(trainer.train_step(progress))
        seconds = clock.seconds
        if not losses[-1] < float("inf"):
            position = f"step {trainer.step} of stage {trainer.name}"
            raise RunFailed(
                f"loss must be finite, got {losses[-1]} at {position}; resume with: {session.resume_command}"
            )
        if trainer.step % _LOG_EVERY == 0:
            row = {"stage": trainer.name, "step": trainer.step, "seconds": round(seconds, 1)}
            directory.log(row | {"loss": sum(losses) / len(losses), "lr": trainer.lr})
            mean = sum(losses) / len(losses)
            losses.clear()
            total = duration.steps or round(trainer.step / max(1e-6, progress))
            yield Progress(f"{trainer.name}", trainer.step, total, f"loss {mean:.4f}, {_time_left(duration, seconds)}")
        signal = session.stop_request.signal
        if signal or seconds - last_saved >= _SAVE_EVERY:
            _save_checkpoint(session, trainer)
            last_saved = clock.seconds
        if signal:
            raise RunInterrupted(
                f"{signal} after step {trainer.step} of stage {trainer.name}; resume with: {session.resume_command}"
            )
        if seconds - last_evaluated >= _EVALUATE_EVERY:
            _evaluate(session, trainer)
            last_evaluated = clock.seconds
    _save_checkpoint(session, trainer)


def _time_left(duration: StageDuration, seconds: float) -> str:
    return "" if duration.steps is not None else f"{max(0, round((duration.end - seconds) / 60))} min left"


def _save_checkpoint(session: TrainingSession, trainer: StageTrainer) -> None:
    state = {"training": trainer.checkpoint_state(), "seconds": session.clock.seconds}
    session.directory.save_checkpoint(trainer.name, trainer.step, state)


def _restore(session: TrainingSession, trainer: StageTrainer) -> None:
    checkpoint, _ = session.directory.latest_checkpoint(trainer.name)
    if checkpoint is not None:
        state = checkpoint.restore({"training": trainer.checkpoint_state()}, session.device)
        trainer.load_state(state["training"])
        session.clock.before += max(0.0, state["seconds"] - session.clock.seconds)
    session.directory.truncate_metrics(trainer.name, trainer.step)


def _evaluate(session: TrainingSession, trainer: StageTrainer) -> None:
    """Logs metrics on held-out scenes; for the denoiser, also writes the pipeline and a grid of its samples."""
    directory = session.directory
    row = {"stage": trainer.name, "step": trainer.step, "seconds": round(session.clock.seconds, 1)}
    directory.log(row | trainer.evaluate())
    if not isinstance(trainer, DenoiserTrainer):
        return
    recipe, target = trainer.recipe, directory.path / "pipeline"
    with atomic_folder(target) as scratch:
        write_pipeline(scratch, trainer.averaged_model())
        write_synced(scratch / "curves.png", curves_png(directory.metrics))
        write_synced(scratch / "README.md", model_card(directory, recipe).encode())
    images = draw_samples(target, CAPTIONS, recipe.scale, recipe.sampling, recipe.seed, str(session.device))
    directory.write_grid(f"step-{trainer.step:08d}", grid_png(images))


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
