"""Placement of drawings in an image: scaled, turned, moved, and composited over a background."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

_BLOCK = 512  # drawings placed at a time


@dataclass(frozen=True)
class IconPlacement:
    """Similarity transforms that place n drawings in an image.

    A point u of a drawing, in half sides from its centre, x to the right and y down, goes to
    `scale R(angle) (u - offset)` in half sides of the image.

    Attributes:
        scale: side of the drawing over the side of the image, > 0.
        angle: angle by which the drawing is turned, radians, clockwise.
        offset: point of the drawing that goes to the centre of the image, half sides of the drawing.
    """

    scale: Float[Tensor, "n"]
    angle: Float[Tensor, "n"]
    offset: Float[Tensor, "n 2"]

    @classmethod
    def centred(cls, n: int, scale: float, device: torch.device) -> IconPlacement:
        """n drawings of one scale, upright and centred."""
        filled = torch.zeros(n, device=device)
        return cls(filled + scale, filled, torch.zeros(n, 2, device=device))

    def matrices(self) -> Float[Tensor, "n 2 3"]:
        """Inverse transforms, from image to drawing: `u = R(-angle) x / scale + offset`."""
        cos, sin = torch.cos(self.angle) / self.scale, torch.sin(self.angle) / self.scale
        return torch.stack([cos, sin, self.offset[:, 0], -sin, cos, self.offset[:, 1]], 1).view(-1, 2, 3)


def place(
    pixels: UInt8[Tensor, "n 4 s s"],
    placement: IconPlacement,
    background: Float[Tensor, "#n 3"],
    size: int,
    samples: int = 2,
) -> Float[Tensor, "n 3 size size"]:
    """Draws each drawing over a flat background, `alpha colour + (1 - alpha) background`.

    Colours are premultiplied by alpha before they are interpolated, so that transparent pixels lend no colour to edges.
    Samples on a regular grid, interpolated bilinearly, are averaged; beyond its square a drawing is transparent.

    Args:
        pixels: drawings, straight alpha.
        placement: where they go.
        background: background colours, [0, 1].
        size: side of the images, pixels.
        samples: samples per pixel and axis, >= 1.

    Returns:
        Images in [0, 1], on the device of `pixels`.
    """
    blocks = []
    for part, matrices, colour in zip(
        pixels.split(_BLOCK),
        placement.matrices().split(_BLOCK),
        background.expand(len(pixels), 3).split(_BLOCK),
        strict=True,
    ):
        straight = part.float() / 255
        alpha = straight[:, 3:]
        premultiplied = torch.cat([straight[:, :3] * alpha, alpha], 1)
        fine = [len(part), 4, samples * size, samples * size]
        grid = torch.nn.functional.affine_grid(matrices, fine, align_corners=False)
        sampled = torch.nn.functional.grid_sample(premultiplied, grid, align_corners=False, padding_mode="zeros")
        drawn = torch.nn.functional.avg_pool2d(sampled, samples)
        blocks.append((drawn[:, :3] + (1 - drawn[:, 3:]) * colour[:, :, None, None]).clamp(0, 1))
    return torch.cat(blocks)
