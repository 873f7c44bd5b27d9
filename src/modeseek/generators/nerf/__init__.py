"""Neural radiance fields: volumes of density and colour, and the volume rendering generator."""

from __future__ import annotations

from modeseek.generators.background import Background
from modeseek.generators.nerf.dense import Dense
from modeseek.generators.nerf.empty_space_skipping import EmptySpaceSkipping
from modeseek.generators.nerf.fourier import Fourier
from modeseek.generators.nerf.hash_grid import HashGrid
from modeseek.generators.nerf.nerf import NeRF
from modeseek.generators.nerf.random_fourier import RandomFourier
from modeseek.generators.nerf.resolution_stage import ResolutionStage
from modeseek.generators.nerf.triplane import Triplane
from modeseek.generators.nerf.volume import BlobInit, Volume

__all__ = [
    "Background",
    "BlobInit",
    "Dense",
    "Fourier",
    "HashGrid",
    "NeRF",
    "EmptySpaceSkipping",
    "RandomFourier",
    "ResolutionStage",
    "Triplane",
    "Volume",
]
