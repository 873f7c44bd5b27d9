"""Textures that are optimised: colour fields around a surface, and texels of an atlas."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.mesh.atlas import Atlas
from modeseek.generators.mesh.seams import Seams, bilinear, sew
from modeseek.generators.mesh.surface_points import SurfacePoints
from modeseek.generators.nerf.volume import Volume
from modeseek.rng import Rng, randn

_MARGIN = 1 / 1024  # smallest distance of a finished texel from 0 and 1, whose logits are infinite
_SPREAD = 0.02  # standard deviation of the initial logits of texels


class SurfaceTexture(nn.Module, ABC):
    """Base class of textures: a function from points on a surface to colours in (0, 1)."""

    @abstractmethod
    def forward(self, points: SurfacePoints) -> Float[Tensor, "m 3"]:
        """Returns the colours of points."""

    @property
    def atlas(self) -> Atlas | None:
        """Atlas of its texels; None for a texture that has none."""
        return None

    def finished(self) -> SurfaceTexture:
        """Returns the texture to export: without differences across seams."""
        return self


class FieldTexture(SurfaceTexture):
    """Texture that is the colour of a volume at the points of the surface.

    It has no seams, and what no camera sees continues what is near it.

    Args:
        volume: an nn.Module that implements `Volume`, such as `Fourier` or `HashGrid`; its density has no effect.
        radius: radius of its ball, world units, > 0.

    Raises:
        TypeError: not a volume.
        ValueError: a radius that is not positive.
    """

    def __init__(self, volume: nn.Module, radius: float = 1.0) -> None:
        super().__init__()
        if not isinstance(volume, Volume):
            raise TypeError(f"a field texture needs a Volume, got {type(volume).__name__}; try Fourier or HashGrid")
        if not 0 < radius < float("inf"):
            raise ValueError(f"radius of a field texture must be above 0, got {radius}; try 1.0")
        self.volume, self.radius = volume, radius

    def forward(self, points: SurfacePoints) -> Float[Tensor, "m 3"]:
        return self.volume(points.positions / self.radius)[1]


class AtlasTexture(SurfaceTexture):
    """Texture of texels in the atlas of a mesh, looked up bilinearly; a texel is the sigmoid of its parameters.

    Args:
        atlas: atlas of the mesh.
        size: side of the texture, texels, >= 2.
        rng: random stream of the initial texels, which are nearly grey.
        like: tensor whose dtype and device the texels take.

    Raises:
        ValueError: a size below 2.
    """

    def __init__(self, atlas: Atlas, size: int, rng: Rng, like: Tensor | None = None) -> None:
        super().__init__()
        if size < 2:
            raise ValueError(f"an atlas texture must have at least 2 texels a side, got {size}; try 256")
        like = torch.empty(0) if like is None else like
        self.size = size
        self.logits = nn.Parameter(_SPREAD * randn((1, size * size, 3), rng, like)[0])
        self.register_buffer("origin", atlas.origin.to(like.device))
        self.register_buffer("faces", atlas.faces.to(like.device))
        self.register_buffer("uv", atlas.uv.to(like))

    @property
    def atlas(self) -> Atlas:
        return Atlas(self.get_buffer("origin"), self.get_buffer("faces"), self.get_buffer("uv"))

    def forward(self, points: SurfacePoints) -> Float[Tensor, "m 3"]:
        corners = self.get_buffer("uv")[self.get_buffer("faces")[points.face]]
        index, weights = bilinear((points.weights[..., None] * corners).sum(1), self.size)
        texels = self.logits.index_select(0, index.flatten()).sigmoid().view(*index.shape, 3)
        return (weights[..., None] * texels).sum(1)

    @torch.no_grad()
    def finished(self) -> AtlasTexture:
        """Returns a copy whose texels agree across seams."""
        texels = sew(self.logits.sigmoid(), Seams.of(self.atlas, self.size)).clamp(_MARGIN, 1 - _MARGIN)
        result = copy.deepcopy(self)
        result.logits.copy_(texels.logit())
        return result
