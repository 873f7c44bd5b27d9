"""What a volume is asked to render, with all that is random about it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.camera import CameraView


@dataclass(frozen=True)
class NeRFView(CameraView):
    """Cameras and what was drawn for their rays, so that the same view is always the same picture.

    Attributes:
        jitter: where in its interval each sample of a ray stands, in [0, 1), one number a pixel; None: in the middle.
        backdrop: each item's background colour; None: the background's own.
        normals: whether normals are rendered too.
    """

    jitter: Float[Tensor, "n s s"] | None = None
    backdrop: Float[Tensor, "n 3"] | None = None
    normals: bool = False

    def select(self, rows: slice) -> NeRFView:
        jitter, backdrop = (drawn if drawn is None else drawn[rows] for drawn in (self.jitter, self.backdrop))
        cameras = self.cameras.select(rows)
        return replace(self, items=self.items[rows], cameras=cameras, jitter=jitter, backdrop=backdrop)
