"""Views of a NeRF, including every random draw of its rendering."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.camera import CameraView


@dataclass(frozen=True)
class NeRFView(CameraView):
    """View of a NeRF: cameras and all random draws, so that rendering a view is deterministic.

    Attributes:
        jitter: position of the samples within their intervals, in [0, 1), one number per pixel; None is the midpoint.
        backdrop: background colour of each item; None is the background module's own.
        normals: whether a normal map is rendered.
    """

    jitter: Float[Tensor, "n s s"] | None = None
    backdrop: Float[Tensor, "n 3"] | None = None
    normals: bool = False

    def select(self, rows: slice) -> NeRFView:
        jitter, backdrop = (draws if draws is None else draws[rows] for draws in (self.jitter, self.backdrop))
        cameras = self.cameras.select(rows)
        return replace(self, items=self.items[rows], cameras=cameras, jitter=jitter, backdrop=backdrop)
