"""Base class of regularizers: a scheduled weight, and checks of what a rendering contains."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import Rendering
from modeseek.generators.rendering3d import RaySamples, Rendering3D
from modeseek.generators.vector.paths import Paths
from modeseek.generators.vector.rendering import RenderedDrawing
from modeseek.ramp import Varying, value_at


@dataclass(frozen=True)
class Penalty(ABC):
    """Regularizer `weight(progress) * measure(rendering)`, a scalar that the loop adds to the loss.

    While the weight is 0 nothing is measured, at no cost.

    Attributes:
        weight: weight >= 0, or a function of progress in [0, 1].
    """

    weight: Varying = 1.0

    def __post_init__(self) -> None:
        for progress in (0.0, 1.0):
            self._weight_at(progress)

    def __call__(self, rendering: Rendering, progress: float) -> Float[Tensor, ""]:
        """Returns the weighted penalty on a rendering at a progress in [0, 1].

        Raises:
            ValueError: a rendering that lacks the measured quantity, or a weight below 0.
        """
        weight = self._weight_at(progress)
        # With weight 0, the sum of no pixels: zero, but still connected to the graph for the backward pass.
        return weight * self.measure(rendering) if weight else rendering.image.flatten()[:0].sum()

    @abstractmethod
    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        """Returns the penalty without the weight."""

    def _weight_at(self, progress: float) -> float:
        weight = value_at(self.weight, progress)
        if not 0 <= weight < math.inf:
            raise ValueError(
                f"{type(self).__name__} needs a finite weight >= 0, got {weight:g} at progress {progress:g}"
            )
        return weight


def require_3d(rendering: Rendering, penalty: Penalty) -> Rendering3D:
    """Returns the rendering after checking that it has opacity and depth.

    Raises:
        ValueError: a plain image.
    """
    if not isinstance(rendering, Rendering3D):
        raise ValueError(
            f"{type(penalty).__name__} needs opacity and depth, got a 2D {type(rendering).__name__}; "
            "remove it, or use a generator that returns a Rendering3D"
        )
    return rendering


def require_ray_samples(rendering: Rendering, penalty: Penalty) -> tuple[RaySamples, int]:
    """Returns the ray samples of a rendering, and the number of all rays, including those that miss the volume.

    Raises:
        ValueError: a rendering without ray samples.
    """
    rendering = require_3d(rendering, penalty)
    if rendering.ray_samples is None:
        raise ValueError(
            f"{type(penalty).__name__} needs samples along rays, got a surface; remove it, or use a volume"
        )
    return rendering.ray_samples, rendering.opacity.numel()


def require_drawing(rendering: Rendering, penalty: Penalty) -> Paths:
    """Returns the paths of a rendering after checking that it is one of drawings.

    Raises:
        ValueError: a rendering of another generator.
    """
    if not isinstance(rendering, RenderedDrawing):
        raise ValueError(
            f"{type(penalty).__name__} needs the paths of a drawing, got a {type(rendering).__name__}; "
            "remove it, or use the generator Drawing"
        )
    return rendering.paths
