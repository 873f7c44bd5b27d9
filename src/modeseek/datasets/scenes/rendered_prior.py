"""Exact camera-conditional prior of a static scene: the empirical denoiser of its own renders.

It bounds what a method can reach in text to 3D, since no network error is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.codec import RangeCodec
from modeseek.datasets.scenes.static_scene import DISTANCE, FOV, StaticScene
from modeseek.datasets.scenes.view_phrases import HEIGHTS
from modeseek.diffusion.schedule import Schedule
from modeseek.generators.base import View
from modeseek.generators.camera import Cameras, CameraView
from modeseek.priors.base import Conditions
from modeseek.priors.empirical import Empirical

BANDS = (HEIGHTS["at eye level"], HEIGHTS["slightly above"], HEIGHTS["above"])


@dataclass(frozen=True)
class RenderedPrior:
    """Exact prior of a static scene, with its codec and camera labels.

    Attributes:
        scene: ground truth.
        prior: prior of images in [-1, 1]; its conditions are labels, -1 for all views.
        codec: codec between pixels in [0, 1] and the prior's z.
        bins: number of azimuth bins, the first centred at the front; label = band * bins + bin.
        bands: elevation bands [low, high), degrees, ascending.
    """

    scene: StaticScene
    prior: Empirical
    codec: RangeCodec
    bins: int
    bands: tuple[tuple[float, float], ...]

    def label(self, azimuth: Float[Tensor, "b"], elevation: Float[Tensor, "b"]) -> Int[Tensor, "b"]:
        """Label of each azimuth and elevation, degrees; elevations outside all bands take the nearest band."""
        width = 360 / self.bins
        bin_ = ((azimuth + width / 2) % 360 / width).long().clamp(max=self.bins - 1)
        starts = torch.tensor([low for low, _ in self.bands[1:]], dtype=elevation.dtype, device=elevation.device)
        return (elevation[:, None] >= starts).sum(1) * self.bins + bin_

    def conditions(self, view: View) -> Conditions:
        """Conditions of a view for `distill`: the label of each camera, and -1 as the null condition.

        Raises:
            ValueError: a view without cameras.
        """
        if not isinstance(view, CameraView):
            raise ValueError(f"a rendered prior needs a CameraView, got {type(view).__name__}; try a 3-D generator")
        label = self.label(view.cameras.azimuth, view.cameras.elevation)
        return Conditions(label, null=label.new_full((1,), -1))


def rendered_prior(
    scene: StaticScene,
    size: int = 64,
    *,
    bins: int = 24,
    azimuths: int = 72,
    bands: tuple[tuple[float, float], ...] = BANDS,
    elevations: int = 3,
    distance: float = DISTANCE,
    fov: float = FOV,
    schedule: Schedule | None = None,
) -> RenderedPrior:
    """Exact prior of a static scene, from renders spread evenly over azimuth and within each elevation band.

    The renders do not depend on `bins`: fewer bins only condition more coarsely on the camera. Memory is
    4 x 3 size^2 bytes for each of `azimuths * elevations * len(bands)` images, twice.

    Args:
        scene: static scene to render.
        size: side of the images, pixels.
        bins: number of azimuth bins, a divisor of `azimuths`.
        azimuths: number of azimuths around the circle.
        bands: elevation bands (low, high), degrees, ascending, low < high.
        elevations: number of elevations in each band.
        distance: camera distance, world units.
        fov: full field of view of the cameras, degrees.
        schedule: noise schedule of the prior; default VP.

    Raises:
        ValueError: bins that do not divide azimuths, a count below 1, or bands out of order.
    """
    if min(bins, azimuths, elevations, size) < 1 or azimuths % bins:
        raise ValueError(
            f"bins must divide azimuths, and all counts must be at least 1, got bins={bins}, azimuths={azimuths}, "
            f"elevations={elevations}, size={size}; try 72 azimuths and 24, 12, 8, 6, 4 or 1 bins"
        )
    edges = [edge for band in bands for edge in band]
    if not bands or edges != sorted(edges) or any(low >= high for low, high in bands):
        raise ValueError(
            f"bands must be (low, high) in degrees, ascending, without overlap, got {bands}; try sorting them"
        )
    share = (torch.arange(elevations) + 0.5) / elevations
    heights = torch.cat([low + (high - low) * share for low, high in bands])
    # Half a bin before the front, then the middle of every step: no image lies on a border between bins.
    around = (torch.arange(azimuths) + 0.5) * 360 / azimuths - 180 / bins
    elevation, azimuth = (t.reshape(-1) for t in torch.meshgrid(heights, around, indexing="ij"))
    ones = torch.ones_like(azimuth)
    renders = scene.render(Cameras(azimuth, elevation, distance * ones, fov * ones), size)
    codec = RangeCodec()
    band = torch.arange(len(bands)).repeat_interleave(elevations * azimuths)
    bin_ = torch.arange(azimuths).div(azimuths // bins, rounding_mode="floor").repeat(len(heights))
    prior = Empirical(codec.encode(renders.image), schedule, labels=band * bins + bin_)
    return RenderedPrior(scene, prior, codec, bins, bands)
