"""Training targets and loss of the scene classifier."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from modeseek.datasets.scenes import Layouts
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.placement import BESIDE
from modeseek.datasets.scenes.view_phrases import AZIMUTH_STEP, AZIMUTHS
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS
from modeseek.metrics.scenes.classifier_output import ClassifierOutput


@dataclass(frozen=True)
class ClassifierTargets:
    """Targets of b scenes, indexed as in the classifier's output.

    Attributes:
        object_type: index into `OBJECT_TYPES`, the last for none.
        colour: index into `COLOURS`, the last for none.
        relation: index into `RELATIONS`, the last for none.
        azimuth: camera azimuth, degrees.
        elevation: camera elevation, degrees.
    """

    object_type: Int[Tensor, "b 2"]
    colour: Int[Tensor, "b 2"]
    relation: Int[Tensor, "b"]
    azimuth: Float[Tensor, "b"]
    elevation: Float[Tensor, "b"]

    @classmethod
    def from_layouts(cls, layouts: Layouts) -> ClassifierTargets:
        """Ground truth of scene layouts."""
        empty = layouts.object_type < 0
        return cls(
            layouts.object_type.masked_fill(empty, len(OBJECT_TYPES)),
            layouts.colour.masked_fill(empty, len(COLOURS)),
            layouts.relation.masked_fill(layouts.relation < 0, len(RELATIONS)),
            layouts.azimuth,
            layouts.elevation,
        )


def classifier_loss(output: ClassifierOutput, targets: ClassifierTargets) -> Float[Tensor, "b"]:
    """Sum of the cross-entropies of all outputs and the elevation error; for "beside" the better of both orders.

    The azimuth target is split linearly between the two nearest steps of 15 degrees. Where several azimuths look the
    same, the cross-entropy is smallest at their frequencies among the renders.
    """

    def object_loss(object_type: Tensor, colour: Tensor) -> Tensor:
        type_loss = functional.cross_entropy(output.object_type.transpose(1, 2), object_type, reduction="none")
        colour_loss = functional.cross_entropy(output.colour.transpose(1, 2), colour, reduction="none")
        return (type_loss + colour_loss).sum(-1)

    straight, swapped = (
        object_loss(targets.object_type, targets.colour),
        object_loss(targets.object_type.flip(-1), targets.colour.flip(-1)),
    )
    loss = torch.where(targets.relation == BESIDE, torch.minimum(straight, swapped), straight)
    loss = loss + functional.cross_entropy(output.relation, targets.relation, reduction="none")
    position = (targets.azimuth - AZIMUTHS[0]) / AZIMUTH_STEP
    low = position.floor()
    share, low = position - low, low.long() % len(AZIMUTHS)
    log = output.azimuth.log_softmax(-1)
    below = log.gather(1, low[:, None])[:, 0]
    above = log.gather(1, (low[:, None] + 1) % len(AZIMUTHS))[:, 0]
    loss = loss - (1 - share) * below - share * above
    return loss + 2 * functional.smooth_l1_loss(output.elevation / 10, targets.elevation / 10, reduction="none")
