"""Between what a generator renders and what a prior sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Codec(Protocol):
    """A pair of differentiable maps between image and z."""

    def encode(self, image: Tensor) -> Tensor:
        """Image to z."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Z to image."""
        ...


@dataclass(frozen=True)
class Identity:
    """The prior sees what the generator renders (points)."""

    def encode(self, image: Tensor) -> Tensor:
        return image

    def decode(self, z: Tensor) -> Tensor:
        return z


@dataclass(frozen=True)
class RangeCodec:
    """Pixels in [0, 1] to z in [low, high] (pixel-space models use -1, 1)."""

    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"Range needs low < high: got low={self.low}, high={self.high}; swap them")

    def encode(self, image: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * image

    def decode(self, z: Tensor) -> Tensor:
        return (z - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class ResizeCodec:
    """Pictures brought to the size that the prior sees, for generators that render fewer pixels, or more.

    Bilinear; where a picture shrinks, each pixel is a mean over all that it covers.

    Attributes:
        codec: what the picture goes through then.
        height: that the prior sees, pixels.
        width: likewise.
    """

    codec: Codec
    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise ValueError(f"Resized needs a size of 1 or more: got {self.height} x {self.width}; mend it")

    def encode(self, image: Tensor) -> Tensor:
        size = (self.height, self.width)
        if tuple(image.shape[-2:]) != size:
            image = nn.functional.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)
        return self.codec.encode(image)

    def decode(self, z: Tensor) -> Tensor:
        return self.codec.decode(z)
