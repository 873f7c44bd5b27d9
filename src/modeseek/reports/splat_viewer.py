"""Interactive splat viewer of HTML pages: inlined Gaussian splats, sorted and drawn with WebGL by `splat_viewer.js`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.camera import Cameras
from modeseek.generators.mesh.render import STILL_CAMERA, STILL_MARGIN
from modeseek.generators.splats import Splats
from modeseek.generators.splats.projection import rotation_matrices
from modeseek.generators.splats.starts import GivenSplats, StartingSplats
from modeseek.io.images import encode_png
from modeseek.reports.mesh_viewer import encode_array, encode_places

MOST_SPLATS = 60_000
"""Maximum number of splats; more would make a page of several megabytes."""
_SIDE = 384  # of the still image, pixels
_VISIBLE = 0.1  # least opacity of the splats that the first view frames


@dataclass(frozen=True)
class SplatView:
    """Content of `templates/model.html.j2`; the page needs the scripts `splat_viewer` and `model_viewer`.

    Attributes:
        name: name of the object, for the caption and for screen readers.
        n_splats: number of splats.
        arrays: in base64, by the key that the script reads: centres as whole numbers of 16 bits between the two corners
            of their bounding box, these corners, the covariances (xx, xy, xz, yy, yz, zz), and the centre and radius of
            the first view as 32-bit floats, colours and opacities of 8 bits.
        still: PNG that is shown without WebGL 2 or scripts.
        side: side of the still image, pixels.
    """

    name: str
    n_splats: int
    arrays: Mapping[str, str]
    still: bytes
    side: int = _SIDE
    kind: ClassVar[str] = "splats"

    @property
    def size(self) -> str:
        """Number of splats, in words."""
        return f"{self.n_splats:,} splats"

    @classmethod
    def of(cls, splats: StartingSplats, name: str) -> SplatView:
        """The view of splats.

        Raises:
            ValueError: there are more than `MOST_SPLATS`.
        """
        n = len(splats.means)
        if n > MOST_SPLATS:
            raise ValueError(f"splats of a page must be at most {MOST_SPLATS:,}, got {n:,}; try a smaller capacity")
        middle, reach = _frame(splats)
        spread = rotation_matrices(splats.quats.double()) * splats.scales.double()[:, None]
        cov = (spread @ spread.mT).flatten(1)[:, [0, 1, 2, 4, 5, 8]]
        painted = torch.cat([splats.colors, splats.opacities[:, None]], 1).double()
        arrays = {
            **encode_places(splats.means.double().numpy()),
            "shapes": encode_array(cov.numpy().astype("<f4")),
            "colours": encode_array((painted * 255).round().clamp(0, 255).numpy().astype(np.uint8)),
            "frame": encode_array(torch.cat([middle, reach[None]]).numpy().astype("<f4")),
        }
        return cls(name, n, arrays, _still(replace(splats, means=splats.means - middle.to(splats.means)), reach))


def _frame(splats: StartingSplats) -> tuple[Float[Tensor, "3"], Float[Tensor, ""]]:
    """Centre and radius of a ball that holds the visible splats."""
    shown = splats.opacities >= _VISIBLE
    shown = shown if shown.any() else torch.ones_like(shown)
    means, reach = splats.means[shown].double(), splats.scales[shown].double().amax(1)
    middle = ((means + reach[:, None]).amax(0) + (means - reach[:, None]).amin(0)) / 2
    return middle, ((means - middle).norm(dim=-1) + reach).max()


@torch.no_grad()
def _still(splats: StartingSplats, reach: Tensor) -> bytes:
    """PNG of splats around the origin on white, from the first camera of the viewer."""
    azimuth, elevation, fov = (torch.tensor([angle]).float() for angle in STILL_CAMERA)
    distance = STILL_MARGIN * reach.float() / (fov / 2).deg2rad().sin()
    generator = Splats(len(splats.means), GivenSplats(splats), rng=torch.Generator(), size=_SIDE)
    return encode_png(generator(generator.view_from(Cameras(azimuth, elevation, distance, fov))).image[0])
