"""View prompts: text prompts with a phrase for the view of the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.camera_conditions.perp_neg_views import PerpNegViews
from modeseek.camera_conditions.prompt_rows import encode_variants, prompt_indices
from modeseek.generators.camera import wrap_degrees
from modeseek.priors.base import Conditions, TextPrior
from modeseek.pytree import select


@dataclass(frozen=True)
class ViewPrompts:
    """Phrases of the four views (DreamFusion: Poole, Jain, Barron, Mildenhall 2022, arXiv 2209.14988, and its angles).

    Azimuth is 0 degrees at the front view and unbounded; elevation is 90 degrees from above.

    Attributes:
        front: phrase within `front_within` degrees of azimuth 0.
        side: phrase between the front and back ranges.
        back: phrase within `back_within` degrees of azimuth 180.
        overhead: phrase above `overhead_above` degrees of elevation, at any azimuth.
        front_within: half width of the front range, degrees, >= 0.
        back_within: half width of the back range, degrees, >= 0.
        overhead_above: elevation above index a view is overhead, degrees, in [-90, 90].
        before: whether the phrase precedes the prompt (SJC); otherwise it follows after a comma.
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
                "front_within and back_within must be >= 0 and sum to 180 at most, overhead_above in [-90, 90], "
                f"got {within} and {self.overhead_above}"
            )

    def texts(self, prompt: str) -> tuple[str, str, str, str]:
        """Returns the prompt with the front, side, back and overhead phrase."""
        front, side, back, overhead = (f"{s}, {prompt}" if self.before else f"{prompt}, {s}" for s in self.phrases)
        return front, side, back, overhead

    @property
    def phrases(self) -> tuple[str, str, str, str]:
        """Phrases of the views: front, side, back, overhead."""
        return self.front, self.side, self.back, self.overhead

    def sides(self, azimuth: Float[Tensor, "b"], elevation: Float[Tensor, "b"]) -> Int[Tensor, "b"]:
        """Returns the view index of each camera: 0 front, 1 side, 2 back, 3 overhead."""
        angle = wrap_degrees(azimuth).abs()
        side = torch.ones_like(angle, dtype=torch.long)
        side = torch.where(angle <= self.front_within, 0, side)
        side = torch.where(angle >= 180 - self.back_within, 2, side)
        return torch.where(elevation > self.overhead_above, 3, side)

    def encode(
        self, prior: TextPrior, prompts: Sequence[str], negative: str = "", perp_neg: PerpNegViews | None = None
    ) -> ViewConditions:
        """Encodes all four variants of every prompt, once; no prior calls.

        A prompt that is longer than the text encoders of the prior read loses its end, never its view phrase.

        Args:
            prior: prior that encodes the texts.
            prompts: one or more prompts.
            negative: negative prompt of every view; empty for none.
            perp_neg: view interpolation and opposition for a `PerpNeg` prior; None selects the nearest view.

        Raises:
            ValueError: no prompts, or a phrase that is longer than the text encoders read.
        """

        def variants(prompt: str) -> list[tuple[str, str]]:
            return [(prompt, phrase) for phrase in self.phrases]

        conditions = encode_variants(prior, prompts, variants, negative, self.before)
        return ViewConditions(self, conditions, len(prompts), perp_neg)


@dataclass(frozen=True)
class ViewConditions:
    """Encoded view prompts, selected by camera; pass them to `CameraConditions`.

    Attributes:
        prompts: view phrases and the angles of the views.
        conditions: four rows per prompt, in the order of `ViewPrompts.texts`; null and negative are one row.
        n: number of prompts.
        perp_neg: view interpolation and opposition for a `PerpNeg` prior; None selects the nearest view.
    """

    prompts: ViewPrompts
    conditions: Conditions
    n: int
    perp_neg: PerpNegViews | None = None

    def at(
        self, azimuth: Float[Tensor, "b"], elevation: Float[Tensor, "b"], prompt: Int[Tensor, "b"] | None = None
    ) -> Conditions:
        """Returns the conditions of cameras, (b, ...).

        Args:
            azimuth: azimuths in degrees, unbounded.
            elevation: elevations in degrees.
            prompt: prompt index of each camera, in [0, n); the first prompt by default.

        Raises:
            ValueError: a prompt index out of range.
        """
        side = self.prompts.sides(azimuth, elevation)
        index = prompt_indices(prompt, self.n, side)
        conditions = self.conditions
        if self.perp_neg is not None:
            return self.perp_neg.at(conditions, 4 * index, azimuth, side == 3)
        return Conditions(select(conditions.positive, 4 * index + side), conditions.null, conditions.negative)
