"""Descriptions of scenes: everything the renderer needs, and what the caption says of it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Layouts:
    """n scenes of one or two objects (slots 0 and 1); axes, signs and units are those of `generators.camera`.

    Attributes:
        captions: one a scene.
        thing: row in `THINGS`, -1 for an empty slot.
        colour: row in `COLOURS`.
        size: 0 not said, else 1 + row in `SIZES`.
        scale: what one unit of the thing measures in the world.
        place: where the thing's origin stands.
        turn: degrees about +y, seen from above against the clock: its front then looks along (sin turn, 0, cos turn).
        relation: row in `RELATIONS`, -1 with one object.
        azimuth: of the camera, degrees.
        elevation: of the camera, degrees.
        distance: of the camera from the origin.
        fov: the camera's full field of view, degrees.
        background: its colours at one end and at the other.
        slope: where the other end lies, degrees against the clock from the image's right.
        light: unit, towards the lamp, in the camera's (right, up, backward) axes.
        view: what the caption says of the camera: 0 nothing, 1 a coarse phrase, 2 a fine one.
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
        """The scenes at those rows, always as a batch: an index gives a batch of one."""
        chosen = torch.arange(len(self))[rows].reshape(-1)
        device = self.object_type.device
        return Layouts(
            [self.captions[i] for i in chosen.tolist()],
            **{name: value[chosen.to(device)] for name, value in self._tensors().items()},
        )

    def to(self, device: torch.device | str) -> Layouts:
        """The same scenes on that device."""
        return Layouts(self.captions, **{name: value.to(device) for name, value in self._tensors().items()})

    def _tensors(self) -> dict[str, Tensor]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "captions"}
