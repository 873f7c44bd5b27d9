"""HiFA's image term under every codec: it compares images of one size, and reaches the pixels that were rendered."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import modeseek as ms
from modeseek.codec import Codec, Identity, RangeCodec, ResizeCodec
from modeseek.priors.pipeline.vae import VAECodec

WEIGHT = 0.5


class Halves(nn.Module):
    """Network of an autoencoder without a posterior: z has half the sides, means of 2 x 2 pixels."""

    config = {"block_out_channels": (8, 8), "in_channels": 3}  # noqa: RUF012 - as diffusers has it

    def __init__(self) -> None:
        super().__init__()
        self.kept = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def encode(self, image: Tensor, return_dict: bool) -> tuple[Tensor]:
        return (nn.functional.avg_pool2d(image, 2),)

    def decode(self, z: Tensor, return_dict: bool) -> tuple[Tensor]:
        return (z.repeat_interleave(2, -1).repeat_interleave(2, -2),)


def autoencoder() -> VAECodec:
    return VAECodec(Halves(), 0.7, 0.1)


CODECS: dict[str, tuple[Callable[[], Codec], int, int]] = {  # codec, sides of z and of the render
    "identity": (Identity, 8, 8),
    "range": (RangeCodec, 8, 8),
    "autoencoder": (autoencoder, 4, 8),
    "resized": (lambda: ResizeCodec(RangeCodec(), 8, 8), 8, 12),
    "resized autoencoder": (lambda: ResizeCodec(autoencoder(), 8, 8), 4, 12),
    "shifted": (lambda: ms.Shifted(RangeCodec(), 2, 0.1), 8, 8),
    "shifted autoencoder": (lambda: ms.Shifted(autoencoder(), 2), 4, 8),
    "resized, then shifted": (lambda: ResizeCodec(ms.Shifted(autoencoder(), 2), 8, 8), 4, 12),
    "shifted, then resized": (lambda: ms.Shifted(ResizeCodec(autoencoder(), 8, 8), 2), 4, 12),
}


@pytest.mark.parametrize("name", CODECS)
def test_the_gradient_of_the_pixels_is_that_of_both_terms(name: str) -> None:
    """The direction is held, so the pixels' gradient is that of `grad z + grad_image image`, by finite differences."""
    make, side, rendered = CODECS[name]
    codec, rng = make(), torch.Generator().manual_seed(0)
    data = torch.rand(3, 3, side, side, generator=rng, dtype=torch.float64)
    generator = ms.Image(torch.rand(2, 3, rendered, rendered, generator=rng, dtype=torch.float64))
    method = ms.methods.HiFA(times=ms.Uniform(0.4, 0.6), image_weight=WEIGHT)
    optimizer = torch.optim.SGD(generator.parameters(), lr=1.0)
    before = generator.pixels.detach().clone()
    prior = ms.Empirical(data, schedule=ms.VP())
    (step,) = ms.distill(generator, prior, method, optimizer, steps=1, batch=2, codec=codec, rng=ms.Streams(3))
    moved = before - generator.pixels.detach()
    grad, grad_image = step.direction.grad, step.direction.grad_image
    frame = ms.codec.draw_frame(codec, ms.Streams(3).at(0, (0,), use="codec"))
    image = frame.move(before)
    assert step.direction.prediction is not None and step.z.shape[2:] == (side, side)
    expected = WEIGHT * (image - codec.decode(step.direction.prediction.z))
    assert grad_image is not None and torch.allclose(grad_image, expected, rtol=1e-12, atol=1e-12)

    def loss(pixels: Tensor) -> Tensor:
        image = frame.move(pixels)
        return ((grad * frame.codec.encode(image)).sum() + (grad_image * image).sum()) / 2

    for index in ((0, 0, 0, 0), (0, 2, 5, 3), (1, 1, 7, 7), (1, 0, 2, 6)):
        step_size = torch.zeros_like(before)
        step_size[index] = 1e-6
        slope = (loss(before + step_size) - loss(before - step_size)) / 2e-6
        assert moved[index].item() == pytest.approx(slope.item(), rel=1e-5, abs=1e-9)
