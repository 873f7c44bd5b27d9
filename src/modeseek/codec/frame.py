"""Frames: how the images of one optimisation step are moved before they are encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from modeseek.codec.base import Codec, ImageCodec
from modeseek.rng import Rng


@dataclass(frozen=True)
class Frame:
    """Frame of one optimisation step: `z = codec.encode(move(image))`, and z decodes to the moved image.

    Attributes:
        move: differentiable map from a rendered image to the image that is encoded, the same for all items of a step.
        codec: deterministic codec of the moved image.
    """

    move: Callable[[Tensor], Tensor]
    codec: Codec


@runtime_checkable
class RandomCodec(Codec, Protocol):
    """Codec that moves images before it encodes them, anew in each optimisation step; called directly it does not."""

    def draw(self, rng: Rng) -> Frame:
        """Draws the frame of one step; `distill` does so once a step, for all items and in all processes alike."""
        ...


def draw_frame(codec: Codec, rng: Rng) -> Frame:
    """Frame of one step: drawn by a random codec; under any other codec images stay as they are, nothing is drawn."""
    return codec.draw(rng) if isinstance(codec, RandomCodec) else Frame(_stay, codec)


def _stay(image: Tensor) -> Tensor:
    return image


@dataclass(frozen=True)
class ResizeCodec:
    """Codec that resizes images to the resolution of the prior, for generators that render at another one.

    Bilinear and antialiased: where an image shrinks, each pixel is the mean over the area that it covers.

    Attributes:
        codec: codec of images, applied to the resized image.
        height: image height for the prior, in pixels, >= 1.
        width: image width for the prior, in pixels, >= 1.
    """

    codec: ImageCodec
    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise ValueError(
                f"ResizeCodec sides must be >= 1, got {self.height} x {self.width}; try the prior's image size"
            )

    def resize(self, image: Tensor) -> Tensor:
        """The image at the resolution of the prior; the same tensor if it has it already."""
        size = (self.height, self.width)
        if tuple(image.shape[-2:]) == size:
            return image
        return nn.functional.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)

    def encode(self, image: Tensor) -> Tensor:
        return self.codec.encode(self.resize(image))

    def decode(self, z: Tensor) -> Tensor:
        return self.codec.decode(z)

    def image_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.codec.image_shape(shape)

    def draw(self, rng: Rng) -> Frame:
        """Frame of one step: images are resized, then moved as `codec` draws it; z decodes to such an image."""
        frame = draw_frame(self.codec, rng)
        return Frame(lambda image: frame.move(self.resize(image)), frame.codec)
