"""From cameras to conditions: what `distill(conditions=...)` tells a prior of each view of a 3-D generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.generators.base import View
from modeseek.generators.camera import CameraView
from modeseek.priors.base import Conditions


@runtime_checkable
class CameraConditional(Protocol):
    """Conditions that depend on where the camera stands, such as `ViewConditions` and `FineConditions`."""

    def at(
        self, azimuth: Float[Tensor, "b"], elevation: Float[Tensor, "b"], prompt: Int[Tensor, "b"] | None = None
    ) -> Conditions:
        """The conditions of these cameras, degrees, (b, ...)."""
        ...


@dataclass(frozen=True)
class CameraConditions:
    """Tells each item of a `CameraView` what its own camera sees: `distill(conditions=CameraConditions(...))`.

    Attributes:
        told: by angle.
        prompt: which prompt an item seeks, by its number; None: all the first.
    """

    conditions: CameraConditional
    prompt: Callable[[int], int] | None = None

    def __call__(self, view: View) -> Conditions:
        """The conditions of a view's cameras.

        Raises:
            ValueError: a view without cameras.
        """
        cameras = require_cameras(view).cameras
        which = None if self.prompt is None else torch.tensor([self.prompt(i) for i in view.items])
        return self.conditions.at(cameras.azimuth, cameras.elevation, which)


def require_cameras(view: View) -> CameraView:
    """The view, which has cameras.

    Raises:
        ValueError: it has none.
    """
    if not isinstance(view, CameraView):
        raise ValueError(
            f"conditions by camera need cameras: got a {type(view).__name__}; use a 3-D generator, or fixed conditions"
        )
    return view
