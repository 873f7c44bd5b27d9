"""Where the prompts are captions of rendered scenes the truth is known: what a judge of such scenes says."""

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
    Column("right", "All right", "Share of pictures that show all that the caption says, by the judge; resampled by "
           "prompt, as the next four.", ".2f", "high"),
    Column("object", "Object", "Share with all things of the caption and no other.", ".2f", "high"),
    Column("colour", "Colour", "Share in which each thing wears its colour.", ".2f", "high"),
    Column("relation", "Relation", "Share with the right relation, of captions with two objects.", ".2f", "high"),
    Column("view", "View", "Share seen from where the caption says, of captions that say a view which can be seen.",
           ".2f", "high"),
    Column("truth", "KID to renders", "Unbiased squared MMD of the judge's features to fresh renders of the same "
           "captions, by a cubic kernel.", ".3g", "low"),
)  # fmt: skip
_RENDERS = 256  # at least, in all


def are_captions(prompts: Sequence[str]) -> bool:
    """Whether every prompt is a caption of the rendered scenes."""
    try:
        for prompt in prompts:
            parse(prompt)
    except ValueError:
        return False
    return True


@torch.no_grad()
def render_features(classifier: SceneClassifier, prompts: tuple[str, ...], seed: int) -> Float[Tensor, "n d"]:
    """The judge's features of fresh renders, equally many of each prompt."""
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
    """Shares of attributes that are right, and the distance to the truth, by the keys of `COLUMNS`.

    Args:
        judge: of scenes.
        prompts: captions.
        jobs: finished ones of one player.
        truth: from `rendered`.
        seed: of the resampling.
    """
    images: list[Tensor] = []
    numbers: list[int] = []
    for part, items in iterate_images(jobs):
        images.append(part)
        numbers += [prompt for prompt, _ in items]
    pictures = torch.cat(images)
    shares = accuracy_by_attribute(score_captions(classifier, pictures, [prompts[number] for number in numbers]), torch.tensor(numbers), seed)
    told = {"right" if name == "all" else name: share for name, share in shares.items()}
    if len(pictures) > 1:
        told["truth"] = kid(truth, torch.cat([_features(classifier, part) for part in pictures.split(_RENDERS)]), seed)
    return told


@torch.no_grad()
def _features(classifier: SceneClassifier, images: Tensor) -> Tensor:
    return classifier.features(images.to(next(classifier.parameters()).device)).cpu()
