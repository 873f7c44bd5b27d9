"""Nested dropout of the top paths of drawings, so that the first paths of a drawing make an image alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from modeseek.generators.vector.paths import Paths
from modeseek.rng import Rng, rand


@dataclass(frozen=True)
class NestedDropout:
    """Nested dropout (Rippel et al. 2014, arXiv 1402.0915), of paths as in NeuralSVG (arXiv 2501.03992).

    At each step, with a probability, only the first k paths of a drawing in paint order are painted, k uniform in
    [least, number of paths].

    Attributes:
        probability: probability that paths of an item are left out at a step, in [0, 1].
        least: least number of paths that are kept, >= 1.
    """

    probability: float = 0.5
    least: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1 or self.least < 1:
            raise ValueError(f"nested dropout needs a probability in [0, 1] and least >= 1, got {self}")

    def draw(self, n: int, paths: int, rng: Rng) -> tuple[int, ...]:
        """Draws the number of paths to keep of each of n drawings of so many paths."""
        drops, shares = rand((n, 2), rng, torch.empty(0, dtype=torch.float64)).unbind(1)
        least = min(self.least, paths)
        kept = least + (shares * (paths - least + 1)).long().clamp(max=paths - least)
        return tuple(torch.where(drops < self.probability, kept, paths).tolist())


def keep_first(paths: Paths, keep: tuple[int, ...]) -> Paths:
    """Returns the drawings with all but their first paths in paint order at opacity 0.

    Args:
        paths: drawings.
        keep: number of paths to keep of each.
    """
    counts = torch.tensor(keep, device=paths.order.device)[:, None]
    place = torch.argsort(paths.order, 1)
    kept: Tensor = (place < counts).to(paths.colors)
    return replace(paths, colors=torch.cat([paths.colors[..., :3], paths.colors[..., 3:] * kept[..., None]], -1))
