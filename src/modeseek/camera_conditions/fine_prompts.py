"""Fine-grained view prompts: phrases on a grid of azimuths and elevations, with interpolated embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.camera_conditions.perp_neg_views import interpolate_conditions
from modeseek.camera_conditions.prompt_rows import encode_variants, prompt_indices
from modeseek.priors.base import Conditions, TextPrior
from modeseek.pytree import select


@dataclass(frozen=True)
class FinePrompts:
    """View phrases on a grid of azimuths and elevations.

    Attributes:
        phrases: one row of n phrases per elevation range, from low to high; the k-th phrase is for azimuth k 360 / n
            degrees, 0 the front, 90 the right.
        heights: elevations in degrees at which each row but the first starts, ascending; one fewer than rows.
        interpolate: whether embeddings are interpolated linearly between neighbouring azimuths; otherwise the nearest
            phrase is used (required for priors conditioned on labels).
    """

    phrases: tuple[tuple[str, ...], ...]
    heights: tuple[float, ...] = ()
    interpolate: bool = True

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.phrases}
        if len(widths) != 1 or 0 in widths or len(self.heights) != len(self.phrases) - 1:
            raise ValueError(
                "fine prompts need rows of equal length and one height between consecutive rows, got rows "
                f"of {[len(row) for row in self.phrases]} phrases and {len(self.heights)} heights"
            )
        if list(self.heights) != sorted(set(self.heights)):
            raise ValueError(f"heights must ascend, got {self.heights}")

    def encode(self, prior: TextPrior, prompts: Sequence[str], negative: str = "") -> FineConditions:
        """Encodes every prompt with every phrase, once; no prior calls.

        A prompt that is longer than the text encoders of the prior read loses its end, never its view phrase.

        Args:
            prior: prior that encodes the texts.
            prompts: one or more prompts.
            negative: negative prompt of every view; empty for none.

        Raises:
            ValueError: no prompts, or a phrase that is longer than the text encoders read.
        """
        phrases = [phrase for row in self.phrases for phrase in row]
        conditions = encode_variants(prior, prompts, lambda prompt: [(prompt, p) for p in phrases], negative)
        return FineConditions(self, conditions, len(prompts))


@dataclass(frozen=True)
class FineConditions:
    """Encoded fine-grained view prompts, selected by camera; pass them to `CameraConditions`.

    Attributes:
        prompts: view phrases.
        conditions: one row per prompt, elevation range and azimuth, in that order; null and negative are one row.
        n: number of prompts.
    """

    prompts: FinePrompts
    conditions: Conditions
    n: int

    def at(
        self, azimuth: Float[Tensor, "b"], elevation: Float[Tensor, "b"], prompt: Int[Tensor, "b"] | None = None
    ) -> Conditions:
        """Returns the conditions of cameras, (b, ...).

        Args:
            azimuth: azimuths in degrees, unbounded.
            elevation: elevations in degrees.
            prompt: prompt index of each camera, in [0, n); the first prompt by default.

        Raises:
            ValueError: a prompt index out of range, or interpolation between labels.
        """
        heights, n = len(self.prompts.phrases), len(self.prompts.phrases[0])
        index = prompt_indices(prompt, self.n, torch.zeros_like(azimuth, dtype=torch.long))
        starts = torch.tensor(self.prompts.heights, dtype=elevation.dtype, device=elevation.device)
        first = (index * heights + (elevation[:, None] >= starts).sum(1)) * n
        position = azimuth / (360 / n)
        rows = self.conditions
        if not self.prompts.interpolate:
            return Conditions(select(rows.positive, first + position.round().long() % n), rows.null, rows.negative)
        below = position.floor()
        near, far = (select(rows.positive, first + (below.long() + k) % n) for k in (0, 1))
        return Conditions(interpolate_conditions(near, far, 1 - (position - below)), rows.null, rows.negative)
