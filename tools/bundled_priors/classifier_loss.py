"""What the judge is taught: the truth about renders, and how far its answers are from it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from modeseek.datasets.scenes import Layouts
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.placement import BESIDE
from modeseek.datasets.scenes.view_phrases import AZIMUTHS, STEP
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS
from modeseek.metrics.scenes.classifier_output import ClassifierOutput


@dataclass(frozen=True)
class Truth:
    """What is so in b scenes, numbered as the judge's answers are.

    Attributes:
        thing: none is the last.
        colour: none is the last.
        relation: none is the last.
        azimuth: degrees.
        elevation: degrees.
    """

    thing: Int[Tensor, "b 2"]
    colour: Int[Tensor, "b 2"]
    relation: Int[Tensor, "b"]
    azimuth: Float[Tensor, "b"]
    elevation: Float[Tensor, "b"]

    @classmethod
    def of(cls, layouts: Layouts) -> Truth:
        """Told by the scenes themselves."""
        empty = layouts.thing < 0
        return cls(
            layouts.thing.masked_fill(empty, len(OBJECT_TYPES)),
            layouts.colour.masked_fill(empty, len(COLOURS)),
            layouts.relation.masked_fill(layouts.relation < 0, len(RELATIONS)),
            layouts.azimuth,
            layouts.elevation,
        )


def judge_loss(answers: ClassifierOutput, truth: Truth) -> Float[Tensor, "b"]:
    """Cross-entropies of all answers, and the elevation's error; side by side the better of both orders counts.

    The azimuth's target lies between two steps of fifteen degrees, in shares. Where several azimuths look the same,
    cross-entropy is least at their shares among the renders.
    """

    def objects(thing: Tensor, colour: Tensor) -> Tensor:
        named = functional.cross_entropy(answers.thing.transpose(1, 2), thing, reduction="none")
        painted = functional.cross_entropy(answers.colour.transpose(1, 2), colour, reduction="none")
        return (named + painted).sum(-1)

    straight, swapped = objects(truth.thing, truth.colour), objects(truth.thing.flip(-1), truth.colour.flip(-1))
    loss = torch.where(truth.relation == BESIDE, torch.minimum(straight, swapped), straight)
    loss = loss + functional.cross_entropy(answers.relation, truth.relation, reduction="none")
    place = (truth.azimuth - AZIMUTHS[0]) / STEP
    low = place.floor()
    share, low = place - low, low.long() % len(AZIMUTHS)
    log = answers.azimuth.log_softmax(-1)
    below = log.gather(1, low[:, None])[:, 0]
    above = log.gather(1, (low[:, None] + 1) % len(AZIMUTHS))[:, 0]
    loss = loss - (1 - share) * below - share * above
    return loss + 2 * functional.smooth_l1_loss(answers.elevation / 10, truth.elevation / 10, reduction="none")
