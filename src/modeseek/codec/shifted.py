"""Codec that shifts and scales images at random in each optimisation step, so that edges cannot snap to its grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.codec.base import ImageCodec
from modeseek.codec.frame import Frame, draw_frame
from modeseek.rng import Rng, rand


@dataclass(frozen=True)
class Move:
    """Shift by whole pixels and scaling about the centre; pixels that come in repeat the edge of the image.

    Along each axis of n pixels, `out(i) = image(c + (i - c - shift) / factor)` with `c = (n - 1) / 2`. At factor 1
    pixels are only copied: no blur, and an image that does not move is returned as it is, bit for bit. At other factors
    values between pixels are interpolated by cubic convolution (Keys 1981), exact for quadratics.

    Attributes:
        down: shift of rows, whole pixels, positive downwards, in size below the image's height.
        right: shift of columns, whole pixels, positive to the right, in size below the image's width.
        factor: scaling, > 0; above 1 enlarges.
    """

    down: int = 0
    right: int = 0
    factor: float = 1.0

    def __call__(self, image: Float[Tensor, "*b h w"]) -> Float[Tensor, "*b h w"]:
        """The moved image; linear and differentiable in its pixels."""
        height, width = image.shape[-2:]
        if abs(self.down) >= height or abs(self.right) >= width:
            raise ValueError(
                f"a shift must be smaller than the image of {height} x {width} pixels, got {self.down} rows and "
                f"{self.right} columns; try fewer pixels"
            )
        if self.factor == 1:
            return _shift(_shift(image, self.down, -2), self.right, -1)
        rows, columns = (
            _weights(n, shift, self.factor).to(image) for n, shift in ((height, self.down), (width, self.right))
        )
        return rows @ image @ columns.mT


@dataclass(frozen=True)
class Shifted:
    """Codec that shifts images at random by whole pixels, and slightly scales them, in each step of `distill`.

    An encoder of patches (a convolution with stride, a VAE) has a grid, and what is optimised through a fixed grid puts
    its edges onto it. `distill` draws one move per step, keyed by the step, for all items in all processes: each shift
    is uniform in [-pixels, pixels], rounded to whole pixels, so that every place relative to a grid whose period
    divides 2 `pixels` is equally likely; the factor is uniform in [1 - scale, 1 + scale]. Methods see the moved image
    as `context.image`, its z, and a codec that decodes z to the moved image.

    An encoder drops parts of an image, such as noise inside a patch, at one position relative to its grid only: with
    random shifts all pixels are optimised.

    Whole pixels keep an image as sharp as it is; an interpolated shift would blur it, and the optimisation would
    compensate with edges that are too sharp. Scaling interpolates by cubic convolution, with little blur.

    Called directly, it does not move anything: certificates, previews, exports and scores see the image as it is. It
    costs no prior calls.

    Not for methods that compare the z of a step with one from elsewhere: the fixed source of an edit (DDS, PDS), noise
    that is kept per item (CFD).

    Attributes:
        codec: codec of the moved image.
        pixels: largest shift along each axis, pixels of the image that `codec` encodes, >= 0; 0 does not shift. Half
            the period of the grid reaches every place; more makes images softer.
        scale: largest relative change of size, in [0, 1); 0 does not scale.
    """

    codec: ImageCodec
    pixels: int = 4
    scale: float = 0.0

    def __post_init__(self) -> None:
        if self.pixels < 0 or not 0 <= self.scale < 1:
            raise ValueError(
                f"Shifted needs pixels >= 0 and scale in [0, 1), got {self.pixels} and {self.scale}; try 4 and 0.04"
            )

    def encode(self, image: Tensor) -> Tensor:
        return self.codec.encode(image)

    def decode(self, z: Tensor) -> Tensor:
        return self.codec.decode(z)

    def image_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape (c, h, w) of the image that is decoded from a z of this shape.

        Raises:
            ValueError: the image is too small for the shift.
        """
        image_shape = self.codec.image_shape(shape)
        if self.pixels >= min(image_shape[-2:]):
            raise ValueError(
                f"a shift must be smaller than the image of {image_shape[-2]} x {image_shape[-1]} pixels, got "
                f"{self.pixels}; try fewer pixels"
            )
        return image_shape

    def draw(self, rng: Rng) -> Frame:
        """Draws the move of one step."""
        down, right, size = (2 * rand((1, 3), rng, torch.empty(0))[0] - 1).tolist()
        move = Move(round(self.pixels * down), round(self.pixels * right), 1 + self.scale * size)
        frame = draw_frame(self.codec, rng)
        return Frame(lambda image: frame.move(move(image)), frame.codec)


def _shift(image: Tensor, shift: int, axis: int) -> Tensor:
    """Moves the image along an axis; the edge is repeated where nothing comes in."""
    if shift == 0:
        return image
    kept = image.shape[axis] - abs(shift)
    edge = image.narrow(axis, 0 if shift > 0 else image.shape[axis] - 1, 1)
    filling = [edge] * abs(shift)
    rest = image.narrow(axis, 0 if shift > 0 else -shift, kept)
    return torch.cat([*filling, rest] if shift > 0 else [rest, *filling], axis)


def _weights(n: int, shift: int, factor: float) -> Float[Tensor, "n n"]:
    """Weights of the n pixels of an axis in each moved pixel, in float64; each row sums to 1."""
    centre = (n - 1) / 2
    positions = centre + (torch.arange(n, dtype=torch.float64) - centre - shift) / factor
    first = positions.floor()
    taps = first[:, None] + torch.arange(-1, 3)
    weights = _cubic(positions[:, None] - taps)
    return torch.zeros(n, n, dtype=torch.float64).scatter_add_(1, taps.long().clamp(0, n - 1), weights)


def _cubic(distance: Tensor) -> Tensor:
    """Kernel of cubic convolution, a = -1/2, at distances in [-2, 2]."""
    x = distance.abs()
    return torch.where(x <= 1, (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2)
