"""Style of all figures drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


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
