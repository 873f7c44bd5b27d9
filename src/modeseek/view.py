"""What a generator is asked to render, and what it rendered."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class View:
    """One batch of items to render.

    Attributes:
        items: global item numbers, one per item; they key the random streams.
    """

    items: tuple[int, ...]

    def part(self, rows: slice) -> View:
        """Some of its items, rendered as they would be among the others."""
        return replace(self, items=self.items[rows])


@dataclass(frozen=True)
class Rendering:
    """What a generator rendered: regularizers see this.

    Attributes:
        view: what was asked for.
        image: what came out, (b, c, h, w) pixels in [0, 1], or (n, d) points.
    """

    view: View
    image: Float[Tensor, "b *d"]
