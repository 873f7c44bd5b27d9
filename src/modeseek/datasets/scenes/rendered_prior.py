"""The ideal prior of one thing: the exact denoiser of its own pictures, told from where it is seen.

What a method makes of it is the method's ceiling: there is nothing left to blame on a network.
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
    """The prior, and what to tell it.

    Attributes:
        still: the truth.
        prior: over pictures in [-1, 1]; conditions are labels, -1 for pictures from everywhere.
        codec: between pixels in [0, 1] and those.
        bins: of the azimuth, the first centred at the front; label = band * bins + bin.
        bands: of the elevation, degrees [from, to), ascending.
    """

    scene: StaticScene
    prior: Empirical
    codec: RangeCodec
    bins: int
    bands: tuple[tuple[float, float], ...]

    def label(self, azimuth: Float[Tensor, "b"], elevation: Float[Tensor, "b"]) -> Int[Tensor, "b"]:
        """The label of each angle, degrees; elevations outside the bands take the nearest."""
        part = 360 / self.bins
        bin_ = ((azimuth + part / 2) % 360 / part).long().clamp(max=self.bins - 1)
        starts = torch.tensor([low for low, _ in self.bands[1:]], dtype=elevation.dtype, device=elevation.device)
        return (elevation[:, None] >= starts).sum(1) * self.bins + bin_

    def conditions(self, view: View) -> Conditions:
        """What `distill` tells the prior of a view: each camera's label, and -1 as the null.

        Raises:
            ValueError: a view without cameras.
        """
        if not isinstance(view, CameraView):
            raise ValueError(f"an ideal prior is told cameras: got a {type(view).__name__}; use a 3-D generator")
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
    """The ideal prior of a thing, from renders spread evenly over all azimuths and within each band of elevation.

    The pictures do not depend on `bins`: fewer bins only tell less of where each was taken from. Memory is
    4 x 3 size^2 bytes for each of `azimuths * elevations * len(bands)` pictures, twice.

    Args:
        still: what is seen.
        size: of the pictures, pixels.
        bins: of the azimuth, a divisor of `azimuths`.
        azimuths: around the circle.
        bands: of the elevation, degrees, ascending, each from below its end.
        elevations: in each band.
        distance: of the cameras.
        fov: of the cameras, degrees.
        schedule: the prior's walk; default VP.

    Raises:
        ValueError: bins that do not divide the azimuths, or bands out of order.
    """
    if min(bins, azimuths, elevations, size) < 1 or azimuths % bins:
        raise ValueError(
            f"bins divide the azimuths, and all are at least 1: got bins={bins}, azimuths={azimuths}, "
            f"elevations={elevations}, size={size}; take 72 azimuths and 24, 12, 8, 6, 4 or 1 bins"
        )
    edges = [edge for band in bands for edge in band]
    if not bands or edges != sorted(edges) or any(low >= high for low, high in bands):
        raise ValueError(f"bands are (from, to) in degrees, ascending, and do not overlap: got {bands}; sort them")
    share = (torch.arange(elevations) + 0.5) / elevations
    heights = torch.cat([low + (high - low) * share for low, high in bands])
    # Half a bin back from the front, then in the middle of every part: no picture lies on a border between bins.
    around = (torch.arange(azimuths) + 0.5) * 360 / azimuths - 180 / bins
    elevation, azimuth = (t.reshape(-1) for t in torch.meshgrid(heights, around, indexing="ij"))
    same = torch.ones_like(azimuth)
    shots = scene.render(Cameras(azimuth, elevation, distance * same, fov * same), size)
    codec = RangeCodec()
    band = torch.arange(len(bands)).repeat_interleave(elevations * azimuths)
    bin_ = torch.arange(azimuths).div(azimuths // bins, rounding_mode="floor").repeat(len(heights))
    prior = Empirical(codec.encode(shots.image), schedule, labels=band * bins + bin_)
    return RenderedPrior(scene, prior, codec, bins, bands)
