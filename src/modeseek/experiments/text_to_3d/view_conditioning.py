"""What a prior is told of the side that a camera sees: the tools of consistency, by one name for all kinds of prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modeseek.config.camera_prompts import CameraPromptsConfig


@dataclass(frozen=True)
class ViewConditioning:
    """One way to tell views.

    Attributes:
        name: for the command line.
        note: what it is, one phrase.
        words: of a pipeline's prompts.
        opposed: whether other views are opposed (Perp-Neg).
        bins: of the azimuth that the exact prior of renders is told; None: it has no such way.
    """

    name: str
    note: str
    words: Literal["none", "coarse", "fine"]
    opposed: bool = False
    bins: int | None = None

    def views(self, guided: bool) -> CameraPromptsConfig:
        """For a pipeline; methods that guide by themselves cannot be opposed, and are told the words alone."""
        return CameraPromptsConfig(self.words, self.opposed and guided)

    @property
    def told(self) -> bool:
        """Whether the side is told at all; else the front may look anywhere."""
        return self.words != "none"


VIEW_CONDITIONINGS = {
    one.name: one
    for one in (
        ViewConditioning("none", "not told where the camera stands around it", "none", bins=1),
        ViewConditioning("words", "told front, side, back (and overhead) view", "coarse", bins=4),
        ViewConditioning("fine", "told the side in steps of 15 degrees", "fine", bins=24),
        ViewConditioning("perp-neg", "told coarse views, and the others opposed", "coarse", opposed=True),
    )
}
