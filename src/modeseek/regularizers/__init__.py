"""Regularizers on renderings, for `distill(regularizers=...)`.

Each regularizer is a mean over pixels or cells times a weight, constant or scheduled. The gradient of a method is a sum
over the pixels of an item instead, so a regularizer is noticeable once its weight is near the number of pixels times
the gradient per pixel.
"""

from __future__ import annotations

from modeseek.regularizers.base import Penalty
from modeseek.regularizers.grid import TotalVariation
from modeseek.regularizers.measurement import MeasurementPenalty
from modeseek.regularizers.opacity import OpacityEntropy, Sparsity
from modeseek.regularizers.ray import Distortion, ZVariance
from modeseek.regularizers.surface import NormalSmoothness, Orientation
from modeseek.regularizers.vector import ColorPalette, OpacityBinary, PathCrossing, SmallestArea, SmoothJoints

__all__ = [
    "ColorPalette",
    "Distortion",
    "MeasurementPenalty",
    "NormalSmoothness",
    "OpacityBinary",
    "OpacityEntropy",
    "Orientation",
    "PathCrossing",
    "Penalty",
    "SmallestArea",
    "SmoothJoints",
    "Sparsity",
    "TotalVariation",
    "ZVariance",
]
