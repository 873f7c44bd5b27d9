"""Plan of the experiment on restoration: cells of degradation and noise, methods and their settings."""

from __future__ import annotations

import math
from dataclasses import dataclass

from modeseek.experiments.common.entries import check_least
from modeseek.experiments.restoration.degradations import Degradation
from modeseek.experiments.restoration.restorers import Restorer


@dataclass(frozen=True)
class RestorationCell:
    """Degradation at a noise.

    Attributes:
        degradation: the degradation.
        noise: standard deviation of the noise, pixel values.
    """

    degradation: Degradation
    noise: float

    @property
    def name(self) -> str:
        """Name in files."""
        return f"{self.degradation.name}-{self.noise:g}"

    @property
    def title(self) -> str:
        """Display title."""
        return f"{self.degradation.title}, noise {self.noise:g}"


@dataclass(frozen=True)
class Restoration:
    """Comparison in which every method restores the same images at equal prior calls.

    Attributes:
        degradations: degradations.
        noises: noise levels, standard deviations of pixel values.
        entries: methods.
        images: number of images.
        tuning: number of other images of the tuning; 0 is without.
        calls: prior calls per image and run.
        seed: random seed.
        device: device.
    """

    degradations: tuple[Degradation, ...]
    noises: tuple[float, ...]
    entries: tuple[Restorer, ...]
    images: int = 50
    tuning: int = 20
    calls: int = 100
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_least(1, images=self.images)
        check_least(0, tuning_images=self.tuning)
        check_least(8, calls=self.calls)
        if any(not 0 <= noise < math.inf for noise in self.noises) or not self.noises:
            raise ValueError(f"noises must be finite and at least 0, got {self.noises}; try 0.05")

    @property
    def cells(self) -> tuple[RestorationCell, ...]:
        """All cells, noise levels outermost."""
        return tuple(RestorationCell(degradation, noise) for noise in self.noises for degradation in self.degradations)

    def entries_on(self, exact: bool) -> tuple[Restorer, ...]:
        """Entries that a prior allows: those of the exact posterior need one."""
        return tuple(entry for entry in self.entries if exact or not entry.exact_only)
