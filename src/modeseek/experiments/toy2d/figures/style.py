"""Style of all figures, and the density background."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from jaxtyping import Float
from torch import Tensor

DENSITY = "magma"
POINT = "#7df9ff"
TRACE = "#7df9ff"
DEPTH = 9.0  # shown range below the maximum, nats


@contextmanager
def figure_style() -> Generator[Any]:
    """Context with `matplotlib.pyplot` on the Agg backend in this style, independent of user settings."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    settings: dict[Any, Any] = {
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.linewidth": 0.6,
        "axes.edgecolor": "#8a8f98",
        "xtick.color": "#5c626b",
        "ytick.color": "#5c626b",
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
    }
    with plt.rc_context({**mpl.rcParamsDefault, "backend": "Agg", **settings}):
        try:
            yield plt
        finally:
            plt.close("all")


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
