"""What a judge of rendered scenes says: its vocabulary, and its answers about pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.view_phrases import AZIMUTHS
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS


def vocabulary() -> dict[str, list[Any]]:
    """What its answers number, in order; each list but the azimuths is followed by "none"."""
    return {
        "things": list(OBJECT_TYPES),
        "colours": list(COLOURS),
        "relations": list(RELATIONS),
        "azimuths": list(AZIMUTHS),
    }


@dataclass(frozen=True)
class ClassifierOutput:
    """What the judge says of b pictures: logits, and the elevation itself. Slots follow a caption's order.

    "first on second", "first behind second"; side by side there is no order, and either may come first.

    Attributes:
        thing: rows of `THINGS`, then none.
        colour: rows of `COLOURS`, then none.
        relation: rows of `RELATIONS`, then none.
        azimuth: of the camera, steps of fifteen degrees as in `AZIMUTHS`. A thing that looks the same from several
            sides gets several peaks.
        elevation: of the camera, degrees.
    """

    object_type: Float[Tensor, "b 2 things"]
    colour: Float[Tensor, "b 2 colours"]
    relation: Float[Tensor, "b relations"]
    azimuth: Float[Tensor, "b 24"]
    elevation: Float[Tensor, "b"]

    @property
    def mean_direction(self) -> Float[Tensor, "b 2"]:
        """Mean (sin, cos) of the azimuth under its probabilities: shorter than 1 where it is unsure."""
        angles = torch.tensor(AZIMUTHS, dtype=self.azimuth.dtype, device=self.azimuth.device).deg2rad()
        return self.azimuth.softmax(-1) @ torch.stack([angles.sin(), angles.cos()], -1)
