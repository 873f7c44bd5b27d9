"""Protocols of codecs, and the codecs that change no pixel's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Codec(Protocol):
    """Pair of differentiable maps between image and z."""

    def encode(self, image: Tensor) -> Tensor:
        """Image to z."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Z to image."""
        ...


@runtime_checkable
class ImageCodec(Codec, Protocol):
    """Codec of a prior of images."""

    def image_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape (c, h, w) of the image that is decoded from a z of this shape."""
        ...


@dataclass(frozen=True)
class Identity:
    """Codec of priors that act on the rendering itself (points): z is the image."""

    def encode(self, image: Tensor) -> Tensor:
        return image

    def decode(self, z: Tensor) -> Tensor:
        return z

    def image_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape


@dataclass(frozen=True)
class RangeCodec:
    """Affine codec: pixels in [0, 1] to z in [low, high] (pixel-space models use -1, 1).

    Attributes:
        low: z of a black pixel.
        high: z of a white pixel, above `low`.
    """

    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"RangeCodec needs low < high: got low={self.low}, high={self.high}; swap them")

    def encode(self, image: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * image

    def decode(self, z: Tensor) -> Tensor:
        return (z - self.low) / (self.high - self.low)

    def image_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape
