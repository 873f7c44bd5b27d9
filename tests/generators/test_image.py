"""Generator of free pixels."""

from __future__ import annotations

import pytest
import torch
from cases import generator, one_line

import modeseek as ms
from modeseek.generators.base import Generator
from modeseek.generators.image import Image

PIXELS = torch.rand(3, 2, 4, 5, generator=generator())


def test_pixels_are_parameters_copied_from_the_input() -> None:
    start = PIXELS.clone()
    image = Image(start)
    assert isinstance(image, Generator)
    (parameter,) = image.parameters()
    rendered = image(image.view(3, generator()))
    assert torch.equal(rendered, PIXELS) and rendered.requires_grad
    grad = torch.arange(PIXELS.numel(), dtype=torch.float32).reshape(PIXELS.shape)
    rendered.backward(gradient=grad)
    assert torch.equal(parameter.grad, grad)
    with torch.no_grad():
        parameter += 5
    assert torch.equal(start, PIXELS), "the input is not modified"
    assert torch.equal(image(image.view(3, generator())), PIXELS + 5), "pixels are not clipped"


def test_every_image_is_an_item_with_its_own_stream() -> None:
    image = Image(PIXELS)
    assert image.view(3, ms.Streams(0)).items == (0, 1, 2)
    for n in (0, 1, 2, 4):
        with pytest.raises(ValueError, match=f"3 images are 3 items, got batch={n}; use batch=3") as caught:
            image.view(n, generator())
        one_line(caught.value)


def test_the_images_of_a_batch_are_optimised_independently() -> None:
    """One run of three images equals three runs of one image."""
    rng = torch.Generator().manual_seed(1)
    prior = ms.Empirical(torch.rand(6, 40, generator=rng).reshape(6, 2, 4, 5), ms.VE(0.01, 10.0))

    def end(pixels: torch.Tensor) -> torch.Tensor:
        image = Image(pixels)
        optimizer = torch.optim.SGD(image.parameters(), float(len(pixels)))  # the loop takes the mean over items
        method = ms.MSD(ms.Fixed(0.3))
        for _ in ms.distill(image, prior, method, optimizer, steps=5, batch=len(pixels), rng=ms.Streams(0)):
            pass
        return image.pixels.detach()

    together = end(PIXELS)
    alone = torch.cat([end(PIXELS[i : i + 1]) for i in range(3)])
    assert not torch.allclose(together, PIXELS, atol=0.01)
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_state_dict_is_the_pixels() -> None:
    image, other = Image(PIXELS), Image(torch.zeros_like(PIXELS))
    other.load_state_dict(image.state_dict())
    assert list(image.state_dict()) == ["pixels"] and torch.equal(other.pixels, PIXELS)
    assert Image(PIXELS.double()).pixels.dtype == torch.float64


@pytest.mark.parametrize(
    "pixels",
    [
        torch.zeros(3),
        torch.zeros(3, 4, 4),
        torch.zeros(1, 2, 3, 4, 5),
        torch.zeros(0, 3, 4, 4),
        torch.zeros(2, 3, 0, 4),
        torch.zeros(2, 3, 4, 4, dtype=torch.uint8),
        torch.full((1, 1, 2, 2), float("nan")),
        torch.full((1, 1, 2, 2), float("inf")),
    ],
    ids=["flat", "one image", "video", "empty", "no rows", "bytes", "nan", "inf"],
)
def test_bad_pixels_are_one_clear_line(pixels: torch.Tensor, unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"pixels must be finite floating point \(n, c, h, w\), got ") as caught:
        Image(pixels)
    assert str(tuple(pixels.shape)) in one_line(caught.value) and str(pixels.dtype) in str(caught.value)
