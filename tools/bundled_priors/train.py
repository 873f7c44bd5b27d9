"""The training of the scene prior from its first picture to the folder that others load."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from modeseek.io.atomic import whole_folder, write_synced
from modeseek.io.progress import Progress
from modeseek.runs.interrupts import RunFailed, RunInterrupted, StopRequest, stop_on_signal
from tools.bundled_priors.lr_schedule import Clock, Pace
from tools.bundled_priors.model import build, write_pipeline
from tools.bundled_priors.model_card import card
from tools.bundled_priors.recipe import Recipe
from tools.bundled_priors.sample_grid import CAPTIONS, curves, grid, samples
from tools.bundled_priors.train_decoder import Autoencoding
from tools.bundled_priors.train_denoiser import Denoising
from tools.bundled_priors.train_text_encoder import Wording
from tools.bundled_priors.training import Training
from tools.bundled_priors.training_dir import Place

_SAVE, _SHOW, _FIRST = 180.0, 600.0, 180.0  # seconds between checkpoints, between grids, before the first grid
_LOG = 20  # steps a line of the metrics


@dataclass(frozen=True)
class Sitting:
    """One call of `python -m tools.bundled_priors train scenes`.

    Attributes:
        place: the folder.
        budget: seconds of training, all sittings together.
        device: where networks live.
        clock: what was spent.
        wish: whether somebody asked it to stop.
        batch: examples a step of the denoiser, where another number than the recipe's is wanted.
    """

    place: Place
    budget: float
    device: torch.device
    clock: Clock
    wish: StopRequest
    batch: int | None = None

    @property
    def again(self) -> str:
        """The command that goes on."""
        return f"python -m tools.bundled_priors train scenes --out {self.place.path} --budget {self.budget / 60:g}m"


def train(
    out: Path,
    *,
    budget: float,
    device: str = "cpu",
    seed: int | None = None,
    batch: int | None = None,
    recipe: Recipe | None = None,
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
    where, wanted = _device(device), Recipe() if recipe is None else recipe
    place = Place.opened(out, wanted if seed is None else replace(wanted, seed=seed))
    told = place.recipe
    if seed is not None and seed != told.seed:
        raise ValueError(f"{out} was begun with seed {told.seed}: got {seed}; leave --seed out or name another folder")
    with place.locked(), stop_on_signal() as wish:

        def at(seconds: float) -> Sitting:
            return Sitting(place, budget, where, Clock(seconds), wish, batch)

        words, begin = yield from _part(at(0.0), told, "text_encoder")
        vae, begin = yield from _part(at(begin), told, "vae")
        yield from _network(at(begin), told, words, vae)


def _part(
    sitting: Sitting, recipe: Recipe, part: Literal["text_encoder", "vae"]
) -> Generator[Progress, None, tuple[Any, float]]:
    """The finished text encoder or autoencoder, and the clock's seconds then; trained first where there is none."""
    place, begin = sitting.place, sitting.clock.before
    kept = place.finished(part)
    if kept is None:
        index = 0 if part == "text_encoder" else 1
        parts = build(recipe.model, place.path / "tokenizer", recipe.seed)
        training = Autoencoding(recipe, parts.vae, sitting.device) if index else Wording(recipe, parts, sitting.device)
        end = begin + min(recipe.caps[index], recipe.shares[index] * sitting.budget)
        yield from _walk(sitting, training, Pace(begin, end, None if recipe.steps is None else recipe.steps[index]))
        numbers, seconds = training.test(), sitting.clock.seconds
        place.log({"stage": training.name, "step": training.step, "seconds": round(seconds, 1)} | numbers)
        kept = getattr(parts, part), seconds
        place.finish(part, kept[0], {"seconds": seconds, "step": training.step} | numbers)
    return kept


def _network(sitting: Sitting, recipe: Recipe, words: Any, vae: Any) -> Generator[Progress, None, None]:
    if sitting.batch is not None:
        recipe = replace(recipe, network=replace(recipe.network, batch=sitting.batch))
    made = build(recipe.model, sitting.place.path / "tokenizer", recipe.seed)
    training = Denoising(recipe, replace(made, text_encoder=words, vae=vae), sitting.device)
    begin = sitting.clock.before
    pace = Pace(begin, max(sitting.budget, begin), None if recipe.steps is None else recipe.steps[2])
    yield from _walk(sitting, training, pace)
    yield Progress("drawing samples", 0, 1)
    _show(sitting, training)
    yield Progress("drawing samples", 1, 1)


def _walk(sitting: Sitting, training: Training, pace: Pace) -> Generator[Progress, None, None]:
    """One stage, from its newest whole checkpoint to its end."""
    place, clock = sitting.place, sitting.clock
    _restore(sitting, training)
    yield from training.fill()
    saved, shown = clock.seconds, clock.seconds - _SHOW + _FIRST
    losses: list[float] = []
    while (progress := pace.progress(training.step, clock.seconds)) < 1:
        losses.append(training.advance(progress))
        seconds = clock.seconds
        if not losses[-1] < float("inf"):
            where = f"step {training.step} of the {training.name}"
            raise RunFailed(f"the loss is {losses[-1]} at {where}; the last checkpoint is kept: {sitting.again}")
        if training.step % _LOG == 0:
            row = {"stage": training.name, "step": training.step, "seconds": round(seconds, 1)}
            place.log(row | {"loss": sum(losses) / len(losses), "lr": training.lr})
            mean = sum(losses) / len(losses)
            losses.clear()
            total = pace.steps or round(training.step / max(1e-6, progress))
            yield Progress(f"{training.name}", training.step, total, f"loss {mean:.4f}, {_left(pace, seconds)}")
        asked = sitting.wish.signal
        if asked or seconds - saved >= _SAVE:
            _save(sitting, training)
            saved = clock.seconds
        if asked:
            raise RunInterrupted(
                f"{asked} after step {training.step} of the {training.name}; go on with: {sitting.again}"
            )
        if seconds - shown >= _SHOW:
            _show(sitting, training)
            shown = clock.seconds
    _save(sitting, training)


def _left(pace: Pace, seconds: float) -> str:
    return "" if pace.steps is not None else f"{max(0, round((pace.end - seconds) / 60))} min left"


def _save(sitting: Sitting, training: Training) -> None:
    state = {"training": training.packed(), "seconds": sitting.clock.seconds}
    sitting.place.keep(training.name, training.step, state)


def _restore(sitting: Sitting, training: Training) -> None:
    checkpoint, _ = sitting.place.checkpoint(training.name)
    if checkpoint is not None:
        held = checkpoint.restore({"training": training.packed()}, sitting.device)
        training.restore(held["training"])
        sitting.clock.before += max(0.0, held["seconds"] - sitting.clock.seconds)
    sitting.place.forget(training.name, training.step)


def _show(sitting: Sitting, training: Training) -> None:
    """Measures on held-out scenes; of the denoiser, writes the pipeline and draws samples from it."""
    place = sitting.place
    row = {"stage": training.name, "step": training.step, "seconds": round(sitting.clock.seconds, 1)}
    place.log(row | training.test())
    if not isinstance(training, Denoising):
        return
    recipe, target = training.recipe, place.path / "pipeline"
    with whole_folder(target) as scratch:
        write_pipeline(scratch, training.averaged())
        write_synced(scratch / "curves.png", curves(place.metrics))
        write_synced(scratch / "README.md", card(place, recipe).encode())
    images = samples(target, CAPTIONS, recipe.scale, recipe.sampling, recipe.seed, str(sitting.device))
    place.picture(f"step-{training.step:08d}", grid(images))


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"no device {name!r} here: {reason}; --device cpu always works") from error
    return device
