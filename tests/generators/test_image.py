"""Free pixels."""

from __future__ import annotations

import pytest
import torch
from cases import generator, one_line

import modeseek as ms
from modeseek.generators.base import Generator
from modeseek.generators.image import Image

PIXELS = torch.rand(3, 2, 4, 5, generator=generator())


def test_pixels_are_their_own_parameters_and_a_copy() -> None:
    start = PIXELS.clone()
    image = Image(start)
    assert isinstance(image, Generator)
    (parameter,) = image.parameters()
    shown = image(image.view(3, generator()))
    assert torch.equal(shown, PIXELS) and shown.requires_grad
    grad = torch.arange(PIXELS.numel(), dtype=torch.float32).reshape(PIXELS.shape)
    shown.backward(gradient=grad)
    assert torch.equal(parameter.grad, grad)
    with torch.no_grad():
        parameter += 5
    assert torch.equal(start, PIXELS), "what it was made of is left alone"
    assert torch.equal(image(image.view(3, generator())), PIXELS + 5), "nothing clips them"


def test_every_picture_is_an_item_with_a_stream_of_its_own() -> None:
    image = Image(PIXELS)
    assert image.view(3, ms.Streams(0)).items == (0, 1, 2)
    for n in (0, 1, 2, 4):
        with pytest.raises(ValueError, match=f"3 pictures are 3 items: got batch={n}; match them") as caught:
            image.view(n, generator())
        one_line(caught.value)


def test_each_picture_goes_its_own_way_whoever_is_beside_it() -> None:
    """One run of three pictures is three runs of one, but for the streams' item numbers."""
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


def test_its_state_is_its_pixels() -> None:
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
    ids=["flat", "one picture", "film", "none", "no rows", "bytes", "nan", "inf"],
)
def test_bad_pixels_are_one_clear_line(pixels: torch.Tensor, unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"pixels are finite and floating point \(n, c, h, w\): got .*; fix") as caught:
        Image(pixels)
    assert str(tuple(pixels.shape)) in one_line(caught.value) and str(pixels.dtype) in str(caught.value)
