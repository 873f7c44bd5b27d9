"""Toy datasets by the name used on the command line and in YAML."""

from __future__ import annotations

from collections.abc import Callable

from modeseek.datasets.digits import Digits
from modeseek.datasets.toy2d import ToyDataset2D, fractal, grid, pinwheel, ring, spiral

DATASETS_2D: dict[str, Callable[[], ToyDataset2D]] = {
    "fractal": fractal,
    "spiral": spiral,
    "pinwheel": pinwheel,
    "ring": ring,
    "grid": grid,
}
DATASETS: dict[str, Callable[[], ToyDataset2D | Digits]] = {**DATASETS_2D, "digits": Digits.load}
