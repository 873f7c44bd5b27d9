"""Scores of images against the ground truth of their prompts: drawings of emoji, attributes of scenes."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from modeseek.datasets.emoji import Icon
from modeseek.datasets.scenes import parse
from modeseek.exams.emoji_exam.emoji_exam import NEAREST, names_of_drawings
from modeseek.io.progress import Progress
from modeseek.metrics.drawing_distance import drawing_distances, nearest_drawings
from modeseek.metrics.scenes.caption_accuracy import compare_predictions, predict
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.reports.table import Column

_AT_ONCE = 1500  # images compared with all drawings together


@runtime_checkable
class Scorer(Protocol):
    """Scores of images against what their prompts name.

    Attributes:
        columns: scores, the main one first: continuous, and what learning rates are tuned on.
    """

    columns: ClassVar[tuple[Column, ...]]

    def score(
        self, images: Float[Tensor, "n c h w"], truths: Sequence[str]
    ) -> Generator[Progress, None, dict[str, Float[Tensor, "n"]]]:
        """Scores of images in [0, 1] by key of the column."""
        ...


@dataclass(frozen=True)
class DrawingScorer:
    """Scores of images of emoji by their distance to all drawings.

    Attributes:
        icons: all drawings.
        pixels: the drawings rendered, on the device where distances are computed.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column("distance", "Distance", "Distance to the nearest drawing of the name, RMS of pixel values in [0, 1], "
               "least over places and sizes of the drawing.", ".3f", "low"),
        Column("top1", "Top 1", "Share of images whose nearest drawing, of all, bears the name.", ".2f", "high"),
        Column("top5", f"Top {NEAREST}", f"Share with a drawing of the name among the {NEAREST} nearest.", ".2f",
               "high"),
    )  # fmt: skip
    icons: tuple[Icon, ...]
    pixels: UInt8[Tensor, "m 4 s s"]

    @cached_property
    def names(self) -> list[set[str]]:
        """Names of each drawing."""
        return names_of_drawings(self.icons, self.pixels.cpu())

    def score(
        self, images: Float[Tensor, "n c h w"], truths: Sequence[str]
    ) -> Generator[Progress, None, dict[str, Float[Tensor, "n"]]]:
        parts = []
        for part in images.split(_AT_ONCE):
            parts.append((yield from drawing_distances(part, self.pixels)))
        distances = torch.cat(parts).cpu()
        own = torch.tensor([[truth in names for names in self.names] for truth in truths])
        nearest = own.gather(1, nearest_drawings(distances, NEAREST).index)
        least = distances.masked_fill(~own, torch.inf).amin(1)
        return {"distance": least, "top1": nearest[:, 0].float(), "top5": nearest.any(1).float()}


@dataclass(frozen=True)
class SceneScorer:
    """Scores of images of scenes by the attributes that the scene classifier finds.

    Attributes:
        classifier: scene classifier, on the device where it is evaluated.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column("attributes", "Attributes", "Share of the caption's attributes (objects, colours, relation, view) that "
               "the scene classifier finds right, mean over images.", ".3f", "high"),
        Column("right", "All right", "Share of images with every attribute right.", ".2f", "high"),
    )  # fmt: skip
    classifier: SceneClassifier

    def score(
        self, images: Float[Tensor, "n c h w"], truths: Sequence[str]
    ) -> Generator[Progress, None, dict[str, Float[Tensor, "n"]]]:
        scores = compare_predictions(predict(self.classifier, images), [parse(truth) for truth in truths])
        yield Progress("scoring", len(images), len(images))
        return {"attributes": scores.share, "right": scores.by_attribute["all"].float()}
