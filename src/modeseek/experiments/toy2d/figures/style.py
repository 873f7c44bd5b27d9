"""Colours of the figures, and the density background."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

DENSITY = "magma"
POINT = "#7df9ff"
TRACE = "#7df9ff"
DEPTH = 9.0  # shown range below the maximum, nats


def draw_density(axes: Any, field: Float[Tensor, "side side"], extent: float) -> Any:
    """Draws the log density as the background of a panel, on equal axes."""
    top = field.max().item()
    image = axes.imshow(
        field.numpy(),
        origin="lower",
        extent=(-extent, extent, -extent, extent),
        cmap=DENSITY,
        vmin=top - DEPTH,
        vmax=top,
        interpolation="bilinear",
        aspect="equal",
    )
    axes.set_facecolor("black")
    return image
