"""Named penalties on what a generator renders: pass them to `distill(regularizers=...)`.

Each is a mean over pixels or cells times a weight that may move along the run. The direction of a method counts every
pixel of an item instead, so a penalty matters about where its weight nears the number of pixels times what one pixel's
gradient is.
"""

from __future__ import annotations

from modeseek.regularizers.base import Penalty
from modeseek.regularizers.grid import TotalVariation
from modeseek.regularizers.opacity import OpacityEntropy, Sparsity
from modeseek.regularizers.ray import Distortion, ZVariance
from modeseek.regularizers.surface import NormalSmoothness, Orientation

__all__ = [
    "Distortion",
    "NormalSmoothness",
    "OpacityEntropy",
    "Orientation",
    "Penalty",
    "Sparsity",
    "TotalVariation",
    "ZVariance",
]
