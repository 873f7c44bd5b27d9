"""View conditionings of a prior by name (`--consistency`), for pipelines and the exact prior of renders alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modeseek.config.camera_prompts import CameraPromptsConfig


@dataclass(frozen=True)
class ViewConditioning:
    """View conditioning of a prior.

    Attributes:
        name: name on the command line.
        note: description, one phrase.
        words: level of detail of the view phrase in a pipeline's prompts.
        opposed: whether other views are negative prompts (Perp-Neg).
        bins: number of azimuth bins of the exact prior of renders; None where it has no such conditioning.
    """

    name: str
    note: str
    words: Literal["none", "coarse", "fine"]
    opposed: bool = False
    bins: int | None = None

    def camera_prompts(self, guided: bool) -> CameraPromptsConfig:
        """Camera prompts of a pipeline; methods that guide by themselves get no negative prompts."""
        return CameraPromptsConfig(self.words, self.opposed and guided)

    @property
    def conditioned(self) -> bool:
        """Whether the prior is conditioned on the view; else the front face may point anywhere."""
        return self.words != "none"


VIEW_CONDITIONINGS = {
    conditioning.name: conditioning
    for conditioning in (
        ViewConditioning("none", "not conditioned on the azimuth", "none", bins=1),
        ViewConditioning("words", "conditioned on front, side, back (and overhead) view", "coarse", bins=4),
        ViewConditioning("fine", "conditioned on the azimuth in steps of 15 degrees", "fine", bins=24),
        ViewConditioning(
            "perp-neg", "conditioned on coarse views, with the others as negative prompts", "coarse", opposed=True
        ),
    )
}
