"""Conditions that depend on the cameras of a view, for `distill(conditions=...)` with a 3D generator."""

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
    """Protocol of conditions as a function of camera angles, such as `ViewConditions` and `FineConditions`."""

    def at(
        self, azimuth: Float[Tensor, "b"], elevation: Float[Tensor, "b"], prompt: Int[Tensor, "b"] | None = None
    ) -> Conditions:
        """Returns the conditions of cameras at angles in degrees, (b, ...)."""
        ...


@dataclass(frozen=True)
class CameraConditions:
    """Conditions of each item of a `CameraView` by its own camera: `distill(conditions=CameraConditions(...))`.

    Attributes:
        conditions: conditions as a function of camera angles.
        prompt: function from an item index to its prompt index; None gives every item the first prompt.
    """

    conditions: CameraConditional
    prompt: Callable[[int], int] | None = None

    def __call__(self, view: View) -> Conditions:
        """Returns the conditions of the cameras of a view.

        Raises:
            ValueError: a view without cameras.
        """
        cameras = require_cameras(view).cameras
        prompts = None if self.prompt is None else torch.tensor([self.prompt(i) for i in view.items])
        return self.conditions.at(cameras.azimuth, cameras.elevation, prompts)


def require_cameras(view: View) -> CameraView:
    """Returns the view after checking that it has cameras.

    Raises:
        ValueError: a view without cameras.
    """
    if not isinstance(view, CameraView):
        raise ValueError(
            f"camera conditions need cameras, got a {type(view).__name__}; use a 3D generator, or fixed conditions"
        )
    return view
