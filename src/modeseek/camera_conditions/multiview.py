"""Priors of several views at once: their cameras among the conditions, group by group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.camera_conditions.cameras import CameraConditional, require_cameras
from modeseek.generators.base import View
from modeseek.generators.camera import Cameras
from modeseek.priors.base import Conditions
from modeseek.pytree import Cond


def blender_matrices(cameras: Cameras) -> Float[Tensor, "b 16"]:
    """Camera-to-world matrices as MVDream was trained with, row by row.

    Columns: right, up, backward, position, in a world of Blender's axes (x, -z, y); the position at distance 1,
    whatever the camera's own.
    """
    position, right, up, forward = cameras.frame
    columns = torch.stack([right, up, -forward, position / cameras.distance[:, None]], -1)
    turned = torch.stack([columns[:, 0], -columns[:, 2], columns[:, 1]], 1)
    last = turned.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(turned), 1, 4)
    return torch.cat([turned, last], 1).flatten(1)


@dataclass(frozen=True)
class MultiviewPrompts:
    """Conditions for a prior that sees groups of views together: `{"text": what is told, "camera": where from}`.

    MVDream (Shi et al. 2023, arXiv 2308.16512): `views` consecutive rows are one group, which such a prior may relate
    to one another as long as rows stay in order; every branch, the empty text included, hears the cameras. Use with
    `MVDream(views=...)`, or with any method on such a prior and batches of whole groups.

    Attributes:
        told: fixed (leading axes 1), or by angle.
        views: rows a group.
        describe: what the prior is told of cameras, (b, k).
    """

    conditions: Conditions | CameraConditional
    views: int = 4
    describe: Callable[[Cameras], Tensor] = blender_matrices

    def __post_init__(self) -> None:
        if self.views < 1:
            raise ValueError(f"a group has at least one view: got views={self.views}; raise it")

    @property
    def block(self) -> int | None:
        """A group."""
        return self.views

    def __call__(self, view: View) -> Conditions:
        """The conditions of a view of whole groups.

        Raises:
            ValueError: a view without cameras, or groups that are not whole.
        """
        cameras = require_cameras(view).cameras
        if len(cameras) % self.views:
            raise ValueError(f"groups have {self.views} views: got {len(cameras)} cameras; render a multiple")
        told = self.conditions
        if not isinstance(told, Conditions):
            told = told.at(cameras.azimuth, cameras.elevation)
        camera = self.describe(cameras)

        def both(text: Cond | None) -> Cond | None:
            return None if text is None else {"text": text, "camera": camera}

        opposed = told.opposed and tuple((both(text), weight) for text, weight in told.opposed)
        return Conditions(both(told.positive), both(told.null), both(told.negative), opposed, both(told.source))
