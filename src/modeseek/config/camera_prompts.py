"""What a prior of words is told of the side that a camera sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from modeseek.camera_conditions.cameras import CameraConditions
from modeseek.camera_conditions.perp_neg_views import PerpNegViews
from modeseek.camera_conditions.view_prompts import TextPrior, ViewPrompts
from modeseek.datasets.scenes.view_prompts import fine_prompts
from modeseek.generators.base import View
from modeseek.priors.base import Conditions


@dataclass(frozen=True)
class CameraPromptsConfig:
    """How prompts follow the camera.

    Attributes:
        words: none (the prompt alone), coarse (front, side, back and overhead view) or fine ("from 30 degrees left,
            slightly above", as the scene prior learned them, embeddings between neighbours).
        opposed: whether other views are opposed (Perp-Neg); coarse words only.
    """

    words: Literal["none", "coarse", "fine"] = "coarse"
    opposed: bool = False

    def __post_init__(self) -> None:
        if self.opposed and self.words != "coarse":
            raise ValueError(f"Perp-Neg opposes coarse views: got words {self.words!r}; set views.words=coarse")

    def conditions(self, prior: TextPrior, prompt: str, negative: str) -> Conditions | Callable[[View], Conditions]:
        """What to tell the prior of each view."""
        if self.words == "none":
            return prior.conditions([prompt], [negative] if negative else None)
        if self.words == "fine":
            return CameraConditions(fine_prompts().encode(prior, [prompt], negative))
        opposing = PerpNegViews() if self.opposed else None
        return CameraConditions(ViewPrompts().encode(prior, [prompt], negative, opposing))
