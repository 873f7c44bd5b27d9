"""Scene layouts: objects, cameras, light and background of a batch of scenes, with their captions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Layouts:
    """Layouts of n scenes of one or two objects (slots 0 and 1); axes, signs and units as in `generators.camera`.

    Attributes:
        captions: caption of each scene.
        object_type: index into `OBJECT_TYPES`, -1 for an empty slot.
        colour: index into `COLOURS`.
        size: 1 + index into `SIZES`, or 0 if the caption gives no size.
        scale: world units per unit of the object.
        position: object's origin in world axes.
        yaw: rotation about +y, degrees, counter-clockwise from above: the front face looks along (sin yaw, 0, cos yaw).
        relation: index into `RELATIONS`, -1 for a single object.
        azimuth: camera azimuth, degrees.
        elevation: camera elevation, degrees.
        distance: camera distance from the origin, world units.
        fov: full field of view of the camera, degrees.
        background: colours at the start and the end of the background gradient, [0, 1].
        background_angle: direction of the gradient's end, degrees counter-clockwise from the image's right.
        light: unit vector towards the light in the camera's (right, up, backward) axes.
        view_detail: detail of the caption's view phrase: 0 none, 1 coarse, 2 fine.
    """

    captions: list[str]
    object_type: Int[Tensor, "n 2"]
    colour: Int[Tensor, "n 2"]
    size: Int[Tensor, "n 2"]
    scale: Float[Tensor, "n 2"]
    position: Float[Tensor, "n 2 3"]
    yaw: Float[Tensor, "n 2"]
    relation: Int[Tensor, "n"]
    azimuth: Float[Tensor, "n"]
    elevation: Float[Tensor, "n"]
    distance: Float[Tensor, "n"]
    fov: Float[Tensor, "n"]
    background: Float[Tensor, "n 2 3"]
    background_angle: Float[Tensor, "n"]
    light: Float[Tensor, "n 3"]
    view_detail: Int[Tensor, "n"]

    def __len__(self) -> int:
        return len(self.captions)

    def __getitem__(self, rows: int | slice | list[int] | Tensor) -> Layouts:
        """Scenes at the given rows, always as a batch: an index gives a batch of one."""
        index = torch.arange(len(self))[rows].reshape(-1)
        device = self.object_type.device
        return Layouts(
            [self.captions[i] for i in index.tolist()],
            **{name: value[index.to(device)] for name, value in self._tensors().items()},
        )

    def to(self, device: torch.device | str) -> Layouts:
        """Copy of the scenes on a device."""
        return Layouts(self.captions, **{name: value.to(device) for name, value in self._tensors().items()})

    def _tensors(self) -> dict[str, Tensor]:
        return {name: value for name, value in vars(self).items() if name != "captions"}
