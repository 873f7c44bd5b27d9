"""Generators fitted to images: the error falls to what they can show, and nothing of the fit stays behind."""

from __future__ import annotations

import pytest
import torch

import modeseek as ms
from modeseek.generators.fit_images import fit_images


def smooth(n: int, side: int) -> torch.Tensor:
    x = torch.linspace(0, 1, side)
    rows = [
        torch.stack([x.expand(side, side), (k + 1) * x[:, None].expand(side, side) / n, x.outer(x)]) for k in range(n)
    ]
    return torch.stack(rows)


def test_the_squared_error_falls_and_is_that_of_each_image() -> None:
    images = smooth(2, 16)
    field = ms.Field(2, (16, 16), rng=0, width=32)
    with torch.no_grad():
        before = (field.render(16, 16) - images).square().mean((1, 2, 3))
    errors = list(fit_images(field, images, 100, 0.01))
    with torch.no_grad():
        after = (field.render(16, 16) - images).square().mean((1, 2, 3))
    assert len(errors) == 100 and torch.allclose(errors[0], before, rtol=1e-6, atol=0)
    assert (after < 0.1 * before).all()
    assert all(parameter.grad is None for parameter in field.parameters())


def test_no_step_changes_nothing_and_a_wrong_shape_is_named() -> None:
    images = ms.Image(torch.rand(1, 3, 8, 8))
    before = images.pixels.detach().clone()
    assert list(fit_images(images, torch.rand(1, 3, 8, 8), 0, 0.1)) == [] and torch.equal(images.pixels, before)
    with pytest.raises(ValueError, match=r"images must be \(1, 3, 8, 8\) as rendered, got \(1, 3, 8, 4\)"):
        list(fit_images(images, torch.rand(1, 3, 8, 4), 1, 0.1))
