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
from modeseek.datasets.scenes.view_phrases import AZIMUTHS, AZIMUTH_STEP
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS
from modeseek.metrics.scenes.classifier_output import ClassifierOutput


@dataclass(frozen=True)
class ClassifierTargets:
    """What is so in b scenes, numbered as the judge's answers are.

    Attributes:
        thing: none is the last.
        colour: none is the last.
        relation: none is the last.
        azimuth: degrees.
        elevation: degrees.
    """

    object_type: Int[Tensor, "b 2"]
    colour: Int[Tensor, "b 2"]
    relation: Int[Tensor, "b"]
    azimuth: Float[Tensor, "b"]
    elevation: Float[Tensor, "b"]

    @classmethod
    def from_layouts(cls, layouts: Layouts) -> ClassifierTargets:
        """Told by the scenes themselves."""
        empty = layouts.object_type < 0
        return cls(
            layouts.object_type.masked_fill(empty, len(OBJECT_TYPES)),
            layouts.colour.masked_fill(empty, len(COLOURS)),
            layouts.relation.masked_fill(layouts.relation < 0, len(RELATIONS)),
            layouts.azimuth,
            layouts.elevation,
        )


def classifier_loss(output: ClassifierOutput, targets: ClassifierTargets) -> Float[Tensor, "b"]:
    """Cross-entropies of all answers, and the elevation's error; side by side the better of both orders counts.

    The azimuth's target lies between two steps of fifteen degrees, in shares. Where several azimuths look the same,
    cross-entropy is least at their shares among the renders.
    """

    def objects(thing: Tensor, colour: Tensor) -> Tensor:
        named = functional.cross_entropy(output.object_type.transpose(1, 2), thing, reduction="none")
        painted = functional.cross_entropy(output.colour.transpose(1, 2), colour, reduction="none")
        return (named + painted).sum(-1)

    straight, swapped = objects(targets.object_type, targets.colour), objects(targets.object_type.flip(-1), targets.colour.flip(-1))
    loss = torch.where(targets.relation == BESIDE, torch.minimum(straight, swapped), straight)
    loss = loss + functional.cross_entropy(output.relation, targets.relation, reduction="none")
    place = (targets.azimuth - AZIMUTHS[0]) / AZIMUTH_STEP
    low = place.floor()
    share, low = place - low, low.long() % len(AZIMUTHS)
    log = output.azimuth.log_softmax(-1)
    below = log.gather(1, low[:, None])[:, 0]
    above = log.gather(1, (low[:, None] + 1) % len(AZIMUTHS))[:, 0]
    loss = loss - (1 - share) * below - share * above
    return loss + 2 * functional.smooth_l1_loss(output.elevation / 10, targets.elevation / 10, reduction="none")
