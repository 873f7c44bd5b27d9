"""Paths fitted to images by gradient descent on their squared error."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.vector.paint import paint
from modeseek.generators.vector.paths import Paths
from modeseek.io.progress import run_to_result

_FALL = 0.1  # last learning rates as a share of the first


def fit(
    paths: Paths,
    images: Float[Tensor, "n 3 h w"],
    steps: int = 200,
    *,
    points: float = 0.6,
    colors: float = 0.05,
    background: bool = True,
) -> Paths:
    """Fits drawings to images: Adam on the mean squared error of each, without a prior.

    All drawings of a batch are fitted at once, and none depends on another. Learning rates fall geometrically to a
    tenth. Colours, opacities and background stay in [0, 1], widths above 0; paint order and fill rules do not change.

    Args:
        paths: drawings to start from, such as those of `trace`.
        images: pixels in [0, 1], one image per drawing.
        steps: number of steps, >= 0.
        points: first learning rate of points and widths, pixels, > 0.
        colors: first learning rate of colours, opacities and background, > 0.
        background: whether the background is fitted, too.

    Returns:
        The fitted drawings, detached; `squared_error` measures them.

    Raises:
        ValueError: images of another number or not finite, or a setting out of its range.
    """
    return run_to_result(fit_steps(paths, images, steps, points=points, colors=colors, background=background))


def fit_steps(
    paths: Paths,
    images: Float[Tensor, "n 3 h w"],
    steps: int = 200,
    *,
    points: float = 0.6,
    colors: float = 0.05,
    background: bool = True,
) -> Generator[Float[Tensor, "n"], None, Paths]:
    """Fits drawings to images as `fit` does; yields the mean squared error of each drawing before every step."""
    _check(paths, images, steps, points, colors)
    size = (images.shape[2], images.shape[3])
    paths = paths.detach()
    unit = 2 / max(size)
    groups: list[dict[str, Any]] = [
        {"params": [paths.fills, paths.strokes, paths.widths], "lr": points * unit},
        {"params": [paths.colors, *([paths.background] if background else [])], "lr": colors},
    ]
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_()
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
    rates = [group["lr"] for group in optimizer.param_groups]
    for step in range(steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * _FALL ** (step / max(1, steps - 1))
        with torch.enable_grad():
            errors = _errors(paint(paths, size), images)
            optimizer.zero_grad(set_to_none=True)
            errors.sum().backward()
        optimizer.step()
        with torch.no_grad():
            paths.colors.clamp_(0, 1)
            paths.background.clamp_(0, 1)
            paths.widths.clamp_(min=0.1 * unit)
        yield errors.detach()
    return paths.detach()


@torch.no_grad()
def squared_error(paths: Paths, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n"]:
    """Mean squared error of each drawing, over pixels and channels, rendered at the size of its image."""
    return _errors(paint(paths, (images.shape[2], images.shape[3])), images)


def _check(paths: Paths, images: Tensor, steps: int, points: float, colors: float) -> None:
    if images.ndim != 4 or images.shape[:2] != (paths.n, 3) or not images.isfinite().all():
        raise ValueError(
            f"images must be finite ({paths.n}, 3, h, w), one per drawing, got {tuple(images.shape)}; try images[None]"
        )
    if steps < 0 or not 0 < points < math.inf or not 0 < colors < math.inf:
        raise ValueError(
            f"fit needs steps >= 0 and learning rates > 0, got {steps}, {points} and {colors}; try 200, 0.6 and 0.05"
        )


def _errors(rendered: Tensor, images: Tensor) -> Tensor:
    return (rendered - images).square().mean((1, 2, 3))
