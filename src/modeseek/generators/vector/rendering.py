"""Views and renderings of vector drawings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import Rendering, View, concatenate_optional
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
        kept = super().select(rows)
        return replace(self, items=kept.items, particles=kept.particles, backdrop=backdrop, keep=keep)

    @classmethod
    def concatenate(cls, views: Sequence[DrawingView]) -> DrawingView:
        backdrop = concatenate_optional([view.backdrop for view in views])
        keeps = [view.keep for view in views if view.keep is not None]
        keep = sum(keeps, ()) if len(keeps) == len(views) else None
        whole = super().concatenate(views)
        return DrawingView(whole.items, backdrop, keep, particles=whole.particles)


@dataclass(frozen=True)
class RenderedDrawing(Rendering):
    """Rendering of drawings, with the paths that were painted.

    Attributes:
        paths: paths of the items of the view, attached to the graph.
    """

    paths: Paths

    @classmethod
    def concatenate(cls, view: View, renderings: Sequence[RenderedDrawing]) -> RenderedDrawing:
        paths = Paths.concatenate([part.paths for part in renderings])
        return replace(renderings[0], view=view, image=torch.cat([part.image for part in renderings]), paths=paths)
