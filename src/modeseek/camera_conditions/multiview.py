"""Conditions of multi-view priors: text and camera of each view, group by group."""

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


def blender_matrices(cameras: Cameras) -> Float[Tensor, "b 16"]:
    """Returns camera-to-world matrices in the convention of MVDream, flattened row by row.

    Columns: right, up, backward, position, in Blender's world axes (x, -z, y); the position is normalised to distance
        1.
    """
    position, right, up, forward = cameras.frame
    columns = torch.stack([right, up, -forward, position / cameras.distance[:, None]], -1)
    blender = torch.stack([columns[:, 0], -columns[:, 2], columns[:, 1]], 1)
    last = blender.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(blender), 1, 4)
    return torch.cat([blender, last], 1).flatten(1)


@dataclass(frozen=True)
class MultiviewPrompts:
    """Conditions of a prior that denoises groups of views jointly: `{"text": embeddings, "camera": camera vectors}`.

    MVDream (Shi et al. 2023, arXiv 2308.16512): `views` consecutive rows are one group; the prior may relate the rows
    of a group, so their order must be kept. Every guidance branch, including the empty text, is conditioned on the
    cameras. Use with `MVDream(views=...)`, or with any method on such a prior and batches of whole groups.

    Attributes:
        conditions: fixed conditions (leading axes 1), or conditions as a function of camera angles.
        views: number of views per group, >= 1.
        describe: function from cameras to camera vectors, (b, k).
    """

    conditions: Conditions | CameraConditional
    views: int = 4
    describe: Callable[[Cameras], Tensor] = blender_matrices

    def __post_init__(self) -> None:
        if self.views < 1:
            raise ValueError(f"a group needs at least one view, got views={self.views}")

    @property
    def block(self) -> int | None:
        """Number of consecutive rows that belong together: one group."""
        return self.views

    def __call__(self, view: View) -> Conditions:
        """Returns the conditions of a view that consists of whole groups.

        Raises:
            ValueError: a view without cameras, or an incomplete group.
        """
        cameras = require_cameras(view).cameras
        if len(cameras) % self.views:
            raise ValueError(f"groups have {self.views} views, got {len(cameras)} cameras; render a multiple")
        texts = self.conditions
        if not isinstance(texts, Conditions):
            texts = texts.at(cameras.azimuth, cameras.elevation)
        camera = self.describe(cameras)
        return texts.map(lambda text: {"text": text, "camera": camera})
