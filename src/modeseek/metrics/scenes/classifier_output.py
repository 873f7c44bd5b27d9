"""Output of the scene classifier and its label vocabulary."""

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
    """Labels of each output in order; each list but the azimuths is followed by "none"."""
    return {
        "things": list(OBJECT_TYPES),
        "colours": list(COLOURS),
        "relations": list(RELATIONS),
        "azimuths": list(AZIMUTHS),
    }


@dataclass(frozen=True)
class ClassifierOutput:
    """Logits and elevation that the scene classifier predicts for b images.

    Slots follow the order of the caption: "first on second", "first behind second"; "beside" has no order, and either
    object may come first.

    Attributes:
        object_type: logits over `OBJECT_TYPES`, then none.
        colour: logits over `COLOURS`, then none.
        relation: logits over `RELATIONS`, then none.
        azimuth: logits of the camera azimuth over `AZIMUTHS`; an object that looks the same from several sides has
            several peaks.
        elevation: camera elevation, degrees.
    """

    object_type: Float[Tensor, "b 2 object_types"]
    colour: Float[Tensor, "b 2 colours"]
    relation: Float[Tensor, "b relations"]
    azimuth: Float[Tensor, "b 24"]
    elevation: Float[Tensor, "b"]

    @property
    def mean_direction(self) -> Float[Tensor, "b 2"]:
        """Mean (sin, cos) of the azimuth under its probabilities: shorter than 1 under uncertainty."""
        angles = torch.tensor(AZIMUTHS, dtype=self.azimuth.dtype, device=self.azimuth.device).deg2rad()
        return self.azimuth.softmax(-1) @ torch.stack([angles.sin(), angles.cos()], -1)
