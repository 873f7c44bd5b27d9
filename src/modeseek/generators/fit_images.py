"""Generators of images fitted to given images by gradient descent on their squared error, without a prior."""

from __future__ import annotations

from collections.abc import Generator

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import BaseGenerator, render

_FALL = 0.05  # last learning rate as a share of the first


def fit_images(
    generator: BaseGenerator, images: Float[Tensor, "n c h w"], steps: int, lr: float
) -> Generator[Float[Tensor, "n"], None, None]:
    """Fits a generator to images: Adam on the mean squared error of each, at a rate that falls geometrically.

    Args:
        generator: generator whose preview view shows all items, at the size of the images.
        images: pixels in [0, 1], one image per item.
        steps: number of steps, >= 0.
        lr: first learning rate, > 0.

    Yields:
        Mean squared error of each image before every step.

    Raises:
        ValueError: images of another shape than the renders.
    """
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr, betas=(0.9, 0.99))
    view = generator.preview_view()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * _FALL ** (step / max(1, steps - 1))
        with torch.enable_grad():
            rendered = render(generator, view).image
            if rendered.shape != images.shape:
                raise ValueError(f"images must be {tuple(rendered.shape)} as rendered, got {tuple(images.shape)}")
            errors = (rendered - images).square().flatten(1).mean(1)
            optimizer.zero_grad(set_to_none=True)
            errors.sum().backward()
        optimizer.step()
        yield errors.detach()
    optimizer.zero_grad(set_to_none=True)
