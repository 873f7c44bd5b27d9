"""The training of the scene prior from its first picture to the folder that others load."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from modeseek.io.atomic import atomic_folder, write_synced
from modeseek.io.progress import Progress
from modeseek.runs.interrupts import RunFailed, RunInterrupted, StopRequest, stop_on_signal
from tools.bundled_priors.lr_schedule import TrainingClock, StageDuration
from tools.bundled_priors.model import build_model, write_pipeline
from tools.bundled_priors.model_card import model_card
from tools.bundled_priors.recipe import TrainingRecipe
from tools.bundled_priors.sample_grid import CAPTIONS, curves_png, grid_png, draw_samples
from tools.bundled_priors.train_decoder import DecoderTrainer
from tools.bundled_priors.train_denoiser import DenoiserTrainer
from tools.bundled_priors.train_text_encoder import TextEncoderTrainer
from tools.bundled_priors.stage_trainer import StageTrainer
from tools.bundled_priors.training_dir import TrainingDir

_SAVE, _SHOW, _FIRST = 180.0, 600.0, 180.0  # seconds between checkpoints, between grids, before the first grid
_LOG = 20  # steps a line of the metrics


@dataclass(frozen=True)
class TrainingSession:
    """One call of `python -m tools.bundled_priors train scenes`.

    Attributes:
        place: the folder.
        budget: seconds of training, all sittings together.
        device: where networks live.
        clock: what was spent.
        wish: whether somebody asked it to stop.
        batch: examples a step of the denoiser, where another number than the recipe's is wanted.
    """

    directory: TrainingDir
    budget: float
    device: torch.device
    clock: TrainingClock
    stop_request: StopRequest
    batch: int | None = None

    @property
    def resume_command(self) -> str:
        """The command that goes on."""
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
    """Trains the scene prior in a folder, or goes on with the training that it holds.

    First the text encoder and the decoder of pictures, for their shares of the budget; then the denoiser. The learning
    rate falls to 0 along a half cosine over the budget. Called again with a larger budget it goes on from its last
    checkpoint: finished parts stay, and the denoiser's rate climbs back to the longer curve at the pace of its
    warm-up. Where the recipe counts steps instead, going on is exact, bit for bit on the CPU.

    Args:
        out: the folder.
        budget: seconds, all sittings together.
        device: cpu, cuda, cuda:1 or mps.
        seed: of a new training; one that was begun keeps its own.
        batch: examples a step of the denoiser, in this sitting.
        recipe: of a new training, in place of the usual one.

    Raises:
        Stopped: it was asked to; everything is kept, and the message says how to go on.
        Failed: a loss that is not finite.
        ValueError: a folder with something else in it, a damaged one, or no such device.
    """
    if batch is not None and batch < 1:
        raise ValueError(f"a batch has at least 1 example: got {batch}; leave --batch out")
    where, wanted = _device(device), TrainingRecipe() if recipe is None else recipe
    place = TrainingDir.open(out, wanted if seed is None else replace(wanted, seed=seed))
    told = place.recipe
    if seed is not None and seed != told.seed:
        raise ValueError(f"{out} was begun with seed {told.seed}: got {seed}; leave --seed out or name another folder")
    with place.lock(), stop_on_signal() as wish:

        def at(seconds: float) -> TrainingSession:
            return TrainingSession(place, budget, where, TrainingClock(seconds), wish, batch)

        words, begin = yield from _train_part(at(0.0), told, "text_encoder")
        vae, begin = yield from _train_part(at(begin), told, "vae")
        yield from _train_denoiser(at(begin), told, words, vae)


def _train_part(
    session: TrainingSession, recipe: TrainingRecipe, part: Literal["text_encoder", "vae"]
) -> Generator[Progress, None, tuple[Any, float]]:
    """The finished text encoder or autoencoder, and the clock's seconds then; trained first where there is none."""
    place, begin = session.directory, session.clock.before
    kept = place.load_part(part)
    if kept is None:
        index = 0 if part == "text_encoder" else 1
        parts = build_model(recipe.model, place.path / "tokenizer", recipe.seed)
        training = DecoderTrainer(recipe, parts.vae, session.device) if index else TextEncoderTrainer(recipe, parts, session.device)
        end = begin + min(recipe.caps[index], recipe.shares[index] * session.budget)
        yield from _train_stage(session, training, StageDuration(begin, end, None if recipe.steps is None else recipe.steps[index]))
        numbers, seconds = training.evaluate(), session.clock.seconds
        place.log({"stage": training.name, "step": training.step, "seconds": round(seconds, 1)} | numbers)
        kept = getattr(parts, part), seconds
        place.save_part(part, kept[0], {"seconds": seconds, "step": training.step} | numbers)
    return kept


def _train_denoiser(session: TrainingSession, recipe: TrainingRecipe, words: Any, vae: Any) -> Generator[Progress, None, None]:
    if session.batch is not None:
        recipe = replace(recipe, network=replace(recipe.network, batch=session.batch))
    made = build_model(recipe.model, session.directory.path / "tokenizer", recipe.seed)
    training = DenoiserTrainer(recipe, replace(made, text_encoder=words, vae=vae), session.device)
    begin = session.clock.before
    pace = StageDuration(begin, max(session.budget, begin), None if recipe.steps is None else recipe.steps[2])
    yield from _train_stage(session, training, pace)
    yield Progress("drawing samples", 0, 1)
    _evaluate(session, training)
    yield Progress("drawing samples", 1, 1)


def _train_stage(session: TrainingSession, training: StageTrainer, duration: StageDuration) -> Generator[Progress, None, None]:
    """One stage, from its newest whole checkpoint to its end."""
    place, clock = session.directory, session.clock
    _restore(session, training)
    yield from training.fill_pool()
    saved, shown = clock.seconds, clock.seconds - _SHOW + _FIRST
    losses: list[float] = []
    while (progress := duration.progress(training.step, clock.seconds)) < 1:
        losses.append(training.train_step(progress))
        seconds = clock.seconds
        if not losses[-1] < float("inf"):
            where = f"step {training.step} of the {training.name}"
            raise RunFailed(f"the loss is {losses[-1]} at {where}; the last checkpoint is kept: {session.resume_command}")
        if training.step % _LOG == 0:
            row = {"stage": training.name, "step": training.step, "seconds": round(seconds, 1)}
            place.log(row | {"loss": sum(losses) / len(losses), "lr": training.lr})
            mean = sum(losses) / len(losses)
            losses.clear()
            total = duration.steps or round(training.step / max(1e-6, progress))
            yield Progress(f"{training.name}", training.step, total, f"loss {mean:.4f}, {_time_left(duration, seconds)}")
        asked = session.stop_request.signal
        if asked or seconds - saved >= _SAVE:
            _save_checkpoint(session, training)
            saved = clock.seconds
        if asked:
            raise RunInterrupted(
                f"{asked} after step {training.step} of the {training.name}; go on with: {session.resume_command}"
            )
        if seconds - shown >= _SHOW:
            _evaluate(session, training)
            shown = clock.seconds
    _save_checkpoint(session, training)


def _time_left(duration: StageDuration, seconds: float) -> str:
    return "" if duration.steps is not None else f"{max(0, round((duration.end - seconds) / 60))} min left"


def _save_checkpoint(session: TrainingSession, training: StageTrainer) -> None:
    state = {"training": training.checkpoint_state(), "seconds": session.clock.seconds}
    session.directory.save_checkpoint(training.name, training.step, state)


def _restore(session: TrainingSession, training: StageTrainer) -> None:
    checkpoint, _ = session.directory.latest_checkpoint(training.name)
    if checkpoint is not None:
        held = checkpoint.restore({"training": training.checkpoint_state()}, session.device)
        training.load_state(held["training"])
        session.clock.before += max(0.0, held["seconds"] - session.clock.seconds)
    session.directory.truncate_metrics(training.name, training.step)


def _evaluate(session: TrainingSession, training: StageTrainer) -> None:
    """Measures on held-out scenes; of the denoiser, writes the pipeline and draws samples from it."""
    place = session.directory
    row = {"stage": training.name, "step": training.step, "seconds": round(session.clock.seconds, 1)}
    place.log(row | training.evaluate())
    if not isinstance(training, DenoiserTrainer):
        return
    recipe, target = training.recipe, place.path / "pipeline"
    with atomic_folder(target) as scratch:
        write_pipeline(scratch, training.averaged_model())
        write_synced(scratch / "curves.png", curves_png(place.metrics))
        write_synced(scratch / "README.md", model_card(place, recipe).encode())
    images = draw_samples(target, CAPTIONS, recipe.scale, recipe.sampling, recipe.seed, str(session.device))
    place.write_grid(f"step-{training.step:08d}", grid_png(images))


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"no device {name!r} here: {reason}; --device cpu always works") from error
    return device
