"""Configuration of view-dependent prompts for text-conditional priors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from modeseek.camera_conditions.cameras import CameraConditions
from modeseek.camera_conditions.perp_neg_views import PerpNegViews
from modeseek.camera_conditions.view_prompts import ViewPrompts
from modeseek.datasets.scenes.fine_view_prompts import fine_prompts
from modeseek.generators.base import View
from modeseek.priors.base import Conditions, TextPrior


@dataclass(frozen=True)
class CameraPromptsConfig:
    """View-dependent prompts.

    Attributes:
        words: none (the prompt alone), coarse (front, side, back and overhead view) or fine ("from 30 degrees left,
            slightly above", the view phrases of the prior scenes, with embeddings interpolated between neighbours).
        opposed: whether to apply Perp-Neg to the other views; needs words="coarse".
    """

    words: Literal["none", "coarse", "fine"] = "coarse"
    opposed: bool = False

    def __post_init__(self) -> None:
        if self.opposed and self.words != "coarse":
            raise ValueError(f"views.opposed needs views.words=coarse (Perp-Neg), got words {self.words!r}")

    def conditions(self, prior: TextPrior, prompt: str, negative: str) -> Conditions | Callable[[View], Conditions]:
        """Conditions of a prompt, fixed or as a function of the view."""
        if self.words == "none":
            return prior.conditions([prompt], [negative] if negative else None)
        if self.words == "fine":
            return CameraConditions(fine_prompts().encode(prior, [prompt], negative))
        perp_neg = PerpNegViews() if self.opposed else None
        return CameraConditions(ViewPrompts().encode(prior, [prompt], negative, perp_neg))
