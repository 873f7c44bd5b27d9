"""Scene-classifier metrics of images whose prompts are captions of rendered scenes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes import Scenes, parse
from modeseek.experiments.text_to_image.job_images import iterate_images
from modeseek.experiments.text_to_image.jobs import JobResult
from modeseek.metrics.bootstrap import Estimate
from modeseek.metrics.frechet import kid
from modeseek.metrics.scenes.caption_accuracy import accuracy_by_attribute, score_captions
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.reports.table import Column
from modeseek.rng import Streams

COLUMNS = (
    Column("right", "All right", "Share of images with every attribute of the caption right, by the scene classifier; "
           "resampled by prompt, as the next four.", ".2f", "high"),
    Column("object", "Object", "Share with all objects of the caption and no other.", ".2f", "high"),
    Column("colour", "Colour", "Share in which each object has its colour.", ".2f", "high"),
    Column("relation", "Relation", "Share with the right relation, of captions with two objects.", ".2f", "high"),
    Column("view", "View", "Share with the right viewpoint, of captions with a visible viewpoint.",
           ".2f", "high"),
    Column("truth", "KID to renders", "Unbiased squared MMD of classifier features to new renders of the same "
           "captions, cubic kernel.", ".3g", "low"),
)  # fmt: skip
_RENDERS = 256  # minimum number of renders


def are_captions(prompts: Sequence[str]) -> bool:
    """Whether every prompt is in the grammar of the rendered scenes."""
    try:
        for prompt in prompts:
            parse(prompt)
    except ValueError:
        return False
    return True


@torch.no_grad()
def render_features(classifier: SceneClassifier, prompts: tuple[str, ...], seed: int) -> Float[Tensor, "n d"]:
    """Classifier features of new renders, equally many of each prompt."""
    captions = list(prompts) * -(-_RENDERS // len(prompts))
    rng = Streams(seed, use="paper renders").generator(0, torch.device("cpu"))
    images = Scenes().render(Scenes().layouts_for(captions, rng)).image
    return torch.cat([_features(classifier, part) for part in images.split(_RENDERS)])


def score_jobs(
    classifier: SceneClassifier,
    prompts: tuple[str, ...],
    jobs: Sequence[JobResult],
    truth: Float[Tensor, "n d"],
    seed: int,
) -> dict[str, Estimate]:
    """Caption accuracy by attribute, and the distance to renders, by key of `COLUMNS`.

    Args:
        classifier: scene classifier.
        prompts: captions.
        jobs: finished jobs of one entry.
        truth: features of `render_features`.
        seed: random seed of the resampling.
    """
    parts: list[Tensor] = []
    numbers: list[int] = []
    for part, items in iterate_images(jobs):
        parts.append(part)
        numbers += [prompt for prompt, _ in items]
    images = torch.cat(parts)
    scores = score_captions(classifier, images, [prompts[number] for number in numbers])
    shares = accuracy_by_attribute(scores, torch.tensor(numbers), seed)
    estimates = {"right" if name == "all" else name: share for name, share in shares.items()}
    if len(images) > 1:
        features = torch.cat([_features(classifier, part) for part in images.split(_RENDERS)])
        estimates["truth"] = kid(truth, features, seed)
    return estimates


@torch.no_grad()
def _features(classifier: SceneClassifier, images: Tensor) -> Tensor:
    return classifier.features(images.to(next(classifier.parameters()).device)).cpu()
