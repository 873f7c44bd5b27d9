"""Training of the scene classifier."""

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
from tools.bundled_priors.example_pool import ExamplePool, Examples
from tools.bundled_priors.lr_schedule import StageDuration, TrainingClock, learning_rate
from tools.bundled_priors.update import mixed_precision

_REPORT_EVERY = 20  # steps


@dataclass(frozen=True)
class ClassifierRecipe:
    """Hyperparameters of the training of the scene classifier.

    Attributes:
        config: architecture of the classifier.
        batch: batch size.
        lr: peak learning rate of AdamW.
        warm: number of warm-up steps of the learning rate.
        decay: weight decay of AdamW.
        first: number of images rendered before the first step.
        pool: maximum number of images in the pool.
        chunk: number of images rendered at a time.
        every: number of steps between two chunks; an image is drawn `batch every / chunk` times, augmented anew.
        tested: number of held-out renders for the accuracy.
        steps: number of steps in place of a time budget; the result is then reproducible.
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
    """Trains a scene classifier on fresh renders, evaluates it on held-out combinations, and saves it.

    It trains on all combinations: a classifier that never met a green cube alone would take every green cube with a
    hidden front for a cube with a white face, and misclassify the images it is meant to score. Training takes minutes
    and cannot be resumed.

    Args:
        out: new folder of the classifier.
        budget: training time, seconds.
        device: device of the network; scenes are rendered on the CPU.
        seed: random seed of weights, scenes and augmentation.
        recipe: hyperparameters; default `ClassifierRecipe()`.
        start: classifier with the initial weights and architecture; default random weights.

    Raises:
        FileExistsError: the folder exists and is not empty.
        RunFailed: non-finite loss.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(
            f"target of a scene classifier must be a new folder, got {out}, which exists; choose another name"
        )
    recipe = recipe or ClassifierRecipe()
    renderer, clock = Scenes(), TrainingClock()
    duration = StageDuration(0.0, budget, recipe.steps)
    classifier = SceneClassifier(recipe.config if start is None else start.config, seed=seed)
    if start is not None:
        classifier.load_state_dict(start.state_dict())
    classifier = classifier.to(device).train()
    scene_rng, draw_rng = torch.Generator().manual_seed(2 * seed), torch.Generator().manual_seed(2 * seed + 1)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=0.0, weight_decay=recipe.decay)
    pool = ExamplePool(recipe.pool)
    while len(pool) < min(recipe.first, recipe.pool):
        pool.add(_examples(renderer, recipe.chunk, scene_rng))
        yield Progress("rendering", min(len(pool), recipe.first), recipe.first)
    step, lr, losses = 0, 0.0, []
    while (progress := duration.progress(step, clock.seconds)) < 1:
        if step and step % recipe.every == 0:
            pool.add(_examples(renderer, recipe.chunk, scene_rng))
        lr = learning_rate(progress, lr, recipe.lr, recipe.warm)
        for group in optimizer.param_groups:
            group["lr"] = lr
        rows = pool.draw(recipe.batch, draw_rng)
        image = augment(rows.pop("image").float() / 255, draw_rng).to(device)
        with mixed_precision(torch.device(device)):
            output = classifier(image)
        loss = classifier_loss(
            output, ClassifierTargets(**{name: value.to(device) for name, value in rows.items()})
        ).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(classifier.parameters(), 5.0)
        optimizer.step()
        step += 1
        losses.append(loss.item())
        if not losses[-1] < float("inf"):
            raise RunFailed(
                f"loss must be finite, got {losses[-1]} at step {step} of the scene classifier; try another --seed"
            )
        if step % _REPORT_EVERY == 0:
            total = duration.steps or round(step / max(1e-6, duration.progress(step, clock.seconds)))
            yield Progress("scene classifier", step, total, f"loss {sum(losses) / len(losses):.3f}")
            losses.clear()
    classifier = classifier.to("cpu").eval()
    renders = renderer.batch(recipe.tested, torch.Generator().manual_seed(seed), held_out=True)
    classifier.normalize_features(renders.image)
    estimates = accuracy_by_attribute(score_captions(classifier, renders.image, renders.captions))
    classifier.accuracy = {name: estimate.value for name, estimate in estimates.items()}
    classifier.save(out)
    yield Progress("evaluating", recipe.tested, recipe.tested)
    return classifier


def _examples(renderer: Scenes, n: int, rng: torch.Generator) -> Examples:
    renders = renderer.batch(n, rng, held_out=None)
    targets = ClassifierTargets.from_layouts(renders.layouts)
    return {"image": (255 * renders.image).round().byte()} | vars(targets)
