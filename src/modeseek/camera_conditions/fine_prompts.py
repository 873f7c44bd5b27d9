"""View prompts in small steps: a phrase for every direction and height, with embeddings between neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.camera_conditions.perp_neg_views import interpolate_conditions
from modeseek.camera_conditions.view_prompts import TextPrior
from modeseek.priors.base import Conditions
from modeseek.pytree import select


@dataclass(frozen=True)
class FinePrompts:
    """Phrases on a grid of azimuths and heights.

    Attributes:
        phrases: a row a height, from low to high; in each n phrases, the k-th for azimuth k 360 / n degrees, 0 the
            front, 90 the right.
        heights: elevation in degrees at which each row but the first begins, ascending: one fewer than rows.
        interpolate: between two azimuths the embedding is the mean of theirs, weighted by nearness; else the nearest
            phrase is said (the only way for a prior of labels).
    """

    phrases: tuple[tuple[str, ...], ...]
    heights: tuple[float, ...] = ()
    interpolate: bool = True

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.phrases}
        if len(widths) != 1 or 0 in widths or len(self.heights) != len(self.phrases) - 1:
            raise ValueError(
                "fine prompts are rows of equally many phrases, with a height between each row and the next: got rows "
                f"of {[len(row) for row in self.phrases]} and {len(self.heights)} heights; mend them"
            )
        if list(self.heights) != sorted(set(self.heights)):
            raise ValueError(f"heights ascend: got {self.heights}; sort them")

    def encode(self, prior: TextPrior, prompts: Sequence[str], negative: str = "") -> FineConditions:
        """Every prompt with every phrase, encoded once; no prior call.

        Args:
            prior: encodes the words.
            prompts: one or more.
            negative: what to move away from, whatever the view; empty for nothing.

        Raises:
            ValueError: no prompts.
        """
        if not prompts:
            raise ValueError("view prompts need a prompt: got none")
        texts = [f"{prompt}, {phrase}" for prompt in prompts for row in self.phrases for phrase in row]
        return FineConditions(self, prior.conditions(texts, [negative] if negative else None), len(prompts))


@dataclass(frozen=True)
class FineConditions:
    """Encoded phrases: what `distill` tells the prior, camera by camera (through `CameraConditions`).

    Attributes:
        prompts: the phrases.
        conditions: a row a prompt, height and azimuth, in that order; null and negative are one row.
        n: prompts.
    """

    prompts: FinePrompts
    conditions: Conditions
    n: int

    def at(
        self, azimuth: Float[Tensor, "b"], elevation: Float[Tensor, "b"], prompt: Int[Tensor, "b"] | None = None
    ) -> Conditions:
        """The conditions of these cameras, (b, ...).

        Args:
            azimuth: degrees, unbounded.
            elevation: degrees.
            prompt: which prompt each camera's item seeks, in [0, n); the first by default.

        Raises:
            ValueError: a prompt that is not there, or labels to interpolate between.
        """
        rows, n = len(self.prompts.phrases), len(self.prompts.phrases[0])
        which = torch.zeros_like(azimuth, dtype=torch.long) if prompt is None else prompt.to(azimuth.device)
        if len(which) and not 0 <= int(which.min()) <= int(which.max()) < self.n:
            raise ValueError(f"there are {self.n} prompts: got {which.tolist()}; number them from 0")
        starts = torch.tensor(self.prompts.heights, dtype=elevation.dtype, device=elevation.device)
        first = (which * rows + (elevation[:, None] >= starts).sum(1)) * n
        place = azimuth / (360 / n)
        told = self.conditions
        if not self.prompts.interpolate:
            return Conditions(select(told.positive, first + place.round().long() % n), told.null, told.negative)
        below = place.floor()
        near, far = (select(told.positive, first + (below.long() + k) % n) for k in (0, 1))
        return Conditions(interpolate_conditions(near, far, 1 - (place - below)), told.null, told.negative)
