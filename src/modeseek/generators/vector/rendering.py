"""Views and renderings of vector drawings."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import Rendering, View
from modeseek.generators.vector.paths import Paths


@dataclass(frozen=True)
class DrawingView(View):
    """Request to render drawings.

    Attributes:
        backdrop: background colour of each item; None is the drawings' own.
        keep: number of paths that are painted of each item, from the bottom; None for all.
    """

    backdrop: Float[Tensor, "n 3"] | None = None
    keep: tuple[int, ...] | None = None

    def select(self, rows: slice) -> DrawingView:
        backdrop, keep = (part if part is None else part[rows] for part in (self.backdrop, self.keep))
        return replace(self, items=self.items[rows], backdrop=backdrop, keep=keep)


@dataclass(frozen=True)
class RenderedDrawing(Rendering):
    """Rendering of drawings, with the paths that were painted.

    Attributes:
        paths: paths of the items of the view, attached to the graph.
    """

    paths: Paths
