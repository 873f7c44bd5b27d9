"""Training of the judge that says what pictures of scenes show."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from modeseek.datasets.scenes import Scenes
from modeseek.io.progress import Progress
from modeseek.metrics.scenes.caption_accuracy import accuracy_by_attribute, score_captions
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.metrics.scenes.classifier_config import ClassifierConfig
from modeseek.runs.interrupts import RunFailed
from tools.bundled_priors.augment import augment
from tools.bundled_priors.classifier_loss import ClassifierTargets, classifier_loss
from tools.bundled_priors.example_pool import Examples, ExamplePool
from tools.bundled_priors.lr_schedule import TrainingClock, StageDuration, learning_rate

_REPORT = 20  # steps


@dataclass(frozen=True)
class ClassifierRecipe:
    """How the judge is trained.

    Attributes:
        shape: of its network.
        batch: pictures a step.
        lr: peak learning rate of AdamW.
        warm: steps in which the rate climbs to its peak.
        decay: of weights.
        first: pictures rendered before the first step.
        pool: pictures kept at most; the oldest go first.
        chunk: pictures rendered at a time.
        every: steps between two chunks: a picture is seen `batch every / chunk` times, disturbed anew each time.
        tested: held-out renders that its accuracy is taken from.
        steps: in place of a budget of time; then the seed fixes every weight.
    """

    config: ClassifierConfig = ClassifierConfig()
    batch: int = 64
    lr: float = 2.5e-3
    warm: int = 200
    decay: float = 0.02
    first: int = 4096
    pool: int = 32768
    chunk: int = 512
    every: int = 48
    tested: int = 2000
    steps: int | None = None


def train_classifier(
    out: Path,
    *,
    budget: float,
    device: str = "cpu",
    seed: int = 0,
    recipe: ClassifierRecipe | None = None,
    start: SceneClassifier | None = None,
) -> Generator[Progress, None, SceneClassifier]:
    """Trains a judge on fresh renders, measures it on others, of held-out combinations, and saves it there.

    It learns from all combinations: one that had never met a green cube alone would take every green cube that hides
    its front for a cube with a white face, and so be unfair to the very pictures that it is to judge. Not resumed: it
    takes minutes.

    Args:
        out: a new folder.
        budget: seconds of training.
        device: of the network; scenes are rendered on the CPU.
        seed: of weights, scenes and disturbances.
        lesson: in place of the usual one.
        start: a judge to begin with, instead of random weights; its shape is kept.

    Raises:
        FileExistsError: the folder exists and is not empty.
        Failed: a loss that is not finite.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"a judge is saved to a new folder: got {out}, which exists; choose another name")
    told = recipe or ClassifierRecipe()
    world, clock = Scenes(), TrainingClock()
    pace = StageDuration(0.0, budget, told.steps)
    judge = SceneClassifier(told.config if start is None else start.config, seed=seed)
    if start is not None:
        judge.load_state_dict(start.state_dict())
    judge = judge.to(device).train()
    scenes, luck = torch.Generator().manual_seed(2 * seed), torch.Generator().manual_seed(2 * seed + 1)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=0.0, weight_decay=told.decay)
    pool = ExamplePool(lambda n: _examples(world, n, scenes), told.pool)
    while len(pool) < min(told.first, told.pool):
        pool.grow(told.chunk)
        yield Progress("rendering", min(len(pool), told.first), told.first)
    step, rate, losses = 0, 0.0, []
    while (progress := pace.progress(step, clock.seconds)) < 1:
        if step and step % told.every == 0:
            pool.grow(told.chunk)
        rate = learning_rate(progress, rate, told.lr, told.warm)
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = pool.draw(told.batch, luck)
        image = augment(rows.pop("image").float() / 255, luck).to(device)
        with _mixed(device):
            answers = judge(image)
        loss = classifier_loss(answers, ClassifierTargets(**{name: value.to(device) for name, value in rows.items()})).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(judge.parameters(), 5.0)
        optimizer.step()
        step += 1
        losses.append(loss.item())
        if not losses[-1] < float("inf"):
            raise RunFailed(f"the loss is {losses[-1]} at step {step} of the judge; start again with another --seed")
        if step % _REPORT == 0:
            total = pace.steps or round(step / max(1e-6, pace.progress(step, clock.seconds)))
            yield Progress("judge", step, total, f"loss {sum(losses) / len(losses):.3f}")
            losses.clear()
    judge = judge.to("cpu").eval()
    shots = world.batch(told.tested, torch.Generator().manual_seed(seed), held_out=True)
    judge.normalize_features(shots.image)
    numbers = accuracy_by_attribute(score_captions(judge, shots.image, shots.captions))
    judge.accuracy = {name: estimate.value for name, estimate in numbers.items()}
    judge.save(out)
    yield Progress("testing", told.tested, told.tested)
    return judge


def _examples(world: Scenes, n: int, rng: torch.Generator) -> Examples:
    shots = world.batch(n, rng, held_out=None)
    truth = ClassifierTargets.from_layouts(shots.layouts)
    return {"image": (255 * shots.image).round().byte()} | vars(truth)


def _mixed(device: str) -> torch.autocast:
    """Products in bfloat16 where the machine multiplies it fast."""
    kind = torch.device(device).type
    able = kind != "cpu" or (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast(kind, torch.bfloat16, enabled=able)
