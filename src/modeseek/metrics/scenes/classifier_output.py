"""Output of the scene classifier and its label vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
