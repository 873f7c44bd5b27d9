"""View prompts: the words of a condition, said for the side that the camera sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.camera_conditions.perp_neg_views import PerpNegViews
from modeseek.priors.base import Conditions
from modeseek.pytree import select


@runtime_checkable
class TextPrior(Protocol):
    """A prior that knows words, such as `Pipeline`."""

    def conditions(self, texts: Sequence[str], negative: Sequence[str] | None = None) -> Conditions:
        """Conditions of texts, (len(texts), ...)."""
        ...


@dataclass(frozen=True)
class ViewPrompts:
    """Four phrases for four sides (Poole, Jain, Barron, Mildenhall 2022, arXiv 2209.14988, with their angles).

    Azimuth is 0 degrees where the camera faces the front, and grows without bound; elevation is 90 from above.

    Attributes:
        front: said within `front_within` degrees of azimuth 0.
        side: said between front and back.
        back: said within `back_within` degrees of azimuth 180.
        overhead: said above `overhead_above` degrees of elevation, whatever the azimuth.
        front_within: degrees to either side.
        back_within: degrees to either side.
        overhead_above: degrees.
        before: the phrase stands before the prompt (SJC), else after a comma.
    """

    front: str = "front view"
    side: str = "side view"
    back: str = "back view"
    overhead: str = "overhead view"
    front_within: float = 45.0
    back_within: float = 45.0
    overhead_above: float = 60.0
    before: bool = False

    def __post_init__(self) -> None:
        within = (self.front_within, self.back_within)
        if min(within) < 0 or sum(within) > 180 or not -90 <= self.overhead_above <= 90:
            raise ValueError(
                f"front and back take angles >= 0 that sum to 180 at most, overhead one in [-90, 90]: got {within} and "
                f"{self.overhead_above}; mend them"
            )

    def texts(self, prompt: str) -> tuple[str, str, str, str]:
        """The prompt from the front, the side, the back and overhead."""
        sides = (self.front, self.side, self.back, self.overhead)
        front, side, back, overhead = (f"{s}, {prompt}" if self.before else f"{prompt}, {s}" for s in sides)
        return front, side, back, overhead

    def sides(self, azimuth: Float[Tensor, "b"], elevation: Float[Tensor, "b"]) -> Int[Tensor, "b"]:
        """Which of the four texts each camera sees: 0 front, 1 side, 2 back, 3 overhead."""
        off = ((azimuth + 180) % 360 - 180).abs()
        side = torch.ones_like(off, dtype=torch.long)
        side = torch.where(off <= self.front_within, 0, side)
        side = torch.where(off >= 180 - self.back_within, 2, side)
        return torch.where(elevation > self.overhead_above, 3, side)

    def encode(
        self, prior: TextPrior, prompts: Sequence[str], negative: str = "", perp_neg: PerpNegViews | None = None
    ) -> ViewConditions:
        """All four variants of every prompt, encoded once; no prior call.

        Args:
            prior: encodes the words.
            prompts: one or more.
            negative: what to move away from, whatever the view; empty for nothing.
            perp_neg: for a `PerpNeg` prior: views are interpolated, and opposed to one another.

        Raises:
            ValueError: no prompts.
        """
        if not prompts:
            raise ValueError("view prompts need a prompt: got none")
        texts = [text for prompt in prompts for text in self.texts(prompt)]
        conditions = prior.conditions(texts, [negative] if negative else None)
        return ViewConditions(self, conditions, len(prompts), perp_neg)


@dataclass(frozen=True)
class ViewConditions:
    """Encoded variants: what `distill` tells the prior, camera by camera.

    Attributes:
        prompts: which side an angle is.
        conditions: four rows a prompt, in the order of `ViewPrompts.texts`; null and negative are one row.
        n: prompts.
        perp_neg: how views oppose one another, for a `PerpNeg` prior; None tells each camera its nearest view.
    """

    prompts: ViewPrompts
    conditions: Conditions
    n: int
    perp_neg: PerpNegViews | None = None

    def at(
        self, azimuth: Float[Tensor, "b"], elevation: Float[Tensor, "b"], prompt: Int[Tensor, "b"] | None = None
    ) -> Conditions:
        """The conditions of these cameras, (b, ...).

        Args:
            azimuth: degrees.
            elevation: degrees.
            prompt: which prompt each camera's item seeks, in [0, n); the first by default.

        Raises:
            ValueError: a prompt that is not there.
        """
        side = self.prompts.sides(azimuth, elevation)
        which = torch.zeros_like(side) if prompt is None else prompt.to(side)
        if len(which) and not 0 <= int(which.min()) <= int(which.max()) < self.n:
            raise ValueError(f"there are {self.n} prompts: got {which.tolist()}; number them from 0")
        conditions = self.conditions
        if self.perp_neg is not None:
            return self.perp_neg.at(conditions, 4 * which, azimuth, side == 3)
        return Conditions(select(conditions.positive, 4 * which + side), conditions.null, conditions.negative)
