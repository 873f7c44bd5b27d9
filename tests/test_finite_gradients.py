"""Nothing that is not finite reaches a parameter: directions, gradients of images, penalties, and of parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from cases import one_line

import modeseek as ms
from modeseek.codec import Identity

DATA = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])


class _Overflow(torch.autograd.Function):
    """The identity, whose gradient overflows at its second use, as that of an encoder in half precision does."""

    uses = 0

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        _Overflow.uses += 1
        return grad * (math.inf if _Overflow.uses > 1 else 1)


@dataclass(frozen=True)
class Overflowing(Identity):
    def encode(self, image: torch.Tensor) -> torch.Tensor:
        return _Overflow.apply(image)


@dataclass(frozen=True)
class BadImageGradient(ms.SDS):
    def step(self, z: torch.Tensor, prior: Any, state: Any, **rest: Any) -> Any:
        direction, state = super().step(z, prior, state, **rest)
        grad = torch.zeros_like(z)
        grad[1, 0, 0, 0] = math.nan if rest["progress"] > 0 else 0
        return replace(direction, grad_image=grad), state


def rising(rendering: ms.Rendering, progress: float) -> torch.Tensor:
    return rendering.image.sum() * (math.nan if progress > 0 else 1)


def steep(rendering: ms.Rendering, progress: float) -> torch.Tensor:
    """A finite value with an infinite gradient from the second step on."""
    return (rendering.image[0, 0, 0, 0] * 0).abs().sqrt() if progress > 0 else rendering.image.sum() * 0


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "gradient of the image": (
        {"method": BadImageGradient()},
        "the gradient of the image is not finite at step 1, row 1",
    ),
    "penalty": ({"regularizers": [rising]}, "penalty rising is nan at step 1"),
    "behind an encoder": (
        {"codec": Overflowing()},
        r"parameter pixels is not finite at step 1, .* \(1 of 1 parameters\)",
    ),
    "of a penalty": ({"regularizers": [steep]}, "the gradient of parameter pixels is not finite at step 1"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_step_is_named_and_no_parameter_has_changed(name: str) -> None:
    options, match = CASES[name]
    image = ms.Image(torch.full((2, 3, 4, 4), 0.3))
    optimizer = torch.optim.Adam(image.parameters(), lr=0.1)
    _Overflow.uses = 0
    loop = ms.distill(
        image, ms.Empirical(DATA), optimizer=optimizer, steps=3, batch=2, rng=0, **{"method": ms.SDS(), **options}
    )
    next(loop)
    before = image.pixels.detach().clone()
    with pytest.raises(FloatingPointError, match=match) as caught:
        next(loop)
    one_line(caught.value)
    assert torch.equal(image.pixels, before) and before.isfinite().all()


@pytest.mark.parametrize("penalties", [[], [lambda rendering, progress: 1e30 * rendering.image.sum()]])
def test_large_but_finite_gradients_pass(penalties: list[Callable[..., torch.Tensor]]) -> None:
    image = ms.Image(torch.full((1, 3, 4, 4), 0.3))
    optimizer = torch.optim.Adam(image.parameters(), lr=0.1)
    method = ms.MSD(ms.Fixed(0.5))
    assert (
        len(list(ms.distill(image, ms.Empirical(DATA), method, optimizer, steps=2, rng=0, regularizers=penalties))) == 2
    )


def test_inner_steps_are_checked() -> None:
    image = ms.Image(torch.full((2, 3, 4, 4), 0.3))
    optimizer = torch.optim.Adam(image.parameters(), lr=0.1)
    _Overflow.uses = 0
    options = {"steps": 1, "batch": 2, "rng": 0, "codec": Overflowing(), "inner_steps": 2}
    with pytest.raises(FloatingPointError, match="the gradient of parameter pixels is not finite at step 0"):
        next(ms.distill(image, ms.Empirical(DATA), ms.MSD(ms.Fixed(0.5)), optimizer, **options))
    assert image.pixels.isfinite().all()
