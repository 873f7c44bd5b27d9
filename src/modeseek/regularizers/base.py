"""What all penalties share: a weight along the run, and plain words where a rendering lacks what they read."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import Rendering
from modeseek.generators.rendering3d import RaySamples, Rendering3D
from modeseek.ramp import Varying, value_at


@dataclass(frozen=True)
class Penalty(ABC):
    """`weight(progress) * measure(rendering)`, a scalar that the loop adds to the loss.

    Where the weight is 0 nothing is measured, so what is off costs nothing.

    Attributes:
        weight: a number >= 0, or a function of progress.
    """

    weight: Varying = 1.0

    def __post_init__(self) -> None:
        for progress in (0.0, 1.0):
            self._weight_at(progress)

    def __call__(self, rendering: Rendering, progress: float) -> Float[Tensor, ""]:
        """The penalty on a rendering at that point of the run.

        Raises:
            ValueError: a rendering without what is measured, or a weight below 0.
        """
        weight = self._weight_at(progress)
        # Off it is the sum of no pixels: zero, and still a part of the graph that the loop goes back through.
        return weight * self.measure(rendering) if weight else rendering.image.flatten()[:0].sum()

    @abstractmethod
    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        """What is penalised, without the weight."""

    def _weight_at(self, progress: float) -> float:
        weight = value_at(self.weight, progress)
        if not 0 <= weight < math.inf:
            raise ValueError(
                f"{type(self).__name__} needs a finite weight >= 0: got {weight:g} at progress {progress:g}; raise it"
            )
        return weight


def require_3d(rendering: Rendering, penalty: Penalty) -> Rendering3D:
    """The rendering, which has opacity and depth.

    Raises:
        ValueError: it is a plain picture.
    """
    if not isinstance(rendering, Rendering3D):
        raise ValueError(
            f"{type(penalty).__name__} reads opacity and depth: got a {type(rendering).__name__}, which is flat; "
            "drop it, or use a generator that renders a Solid"
        )
    return rendering


def require_ray_samples(rendering: Rendering, penalty: Penalty) -> tuple[RaySamples, int]:
    """The samples along its rays, and how many rays there were, those that met nothing included.

    Raises:
        ValueError: it has none.
    """
    one = require_3d(rendering, penalty)
    if one.ray_samples is None:
        raise ValueError(f"{type(penalty).__name__} reads samples along rays: got a surface; drop it, or use a volume")
    return one.ray_samples, one.opacity.numel()
