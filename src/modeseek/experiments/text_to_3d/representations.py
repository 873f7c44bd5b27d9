"""3D representations that the text-to-3D experiment compares, at equal prior calls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from modeseek.config.config import Config
from modeseek.config.defaults import default_adam
from modeseek.config.generators3d import NeRFConfig
from modeseek.config.shape_config import refined_config
from modeseek.config.splats import SplatsConfig, VolumeStart
from modeseek.experiments.common.entries import Entry

_REFINED = 0.3  # share of the steps of a refined mesh that optimise its colours


@dataclass(frozen=True)
class Representation:
    """What a method optimises: here a volume; subclasses spend part of the steps on a volume that they begin with.

    Attributes:
        name: name on the command line, in folders and tables.
        title: display title.
        note: description, one sentence.
    """

    name: str
    title: str
    note: str

    def first_stage(self, volume: Config) -> Config | None:
        """Configuration of a first stage that has a run and a mesh of its own; None: there is none."""
        return None

    def config(self, volume: Config, mesh: Path) -> Config:
        """Configuration of the run that is measured.

        Args:
            volume: configuration of a volume with all steps.
            mesh: mesh of the first stage, a PLY file.
        """
        return volume


@dataclass(frozen=True)
class SplatsRepresentation(Representation):
    """Gaussian splats, which start in a volume; its steps are taken from those of the run, at most half of them."""

    def config(self, volume: Config, mesh: Path) -> Config:
        nerf = _nerf(volume)
        start = min(VolumeStart().steps, volume.steps // 2)
        generator = SplatsConfig(start=VolumeStart(start), views=nerf.views, size=nerf.size)
        return replace(
            volume,
            generator=generator,
            optimizer=default_adam(generator),
            steps=volume.steps - start,
        )


@dataclass(frozen=True)
class RefinedMesh(Representation):
    """Mesh of a volume of 70 % of the steps, whose vertex colours are optimised in the remaining ones."""

    def first_stage(self, volume: Config) -> Config | None:
        return replace(volume, name=f"{volume.name}-volume", steps=volume.steps - self._steps(volume))

    def config(self, volume: Config, mesh: Path) -> Config:
        return refined_config(volume, mesh, self._steps(volume))

    def _steps(self, volume: Config) -> int:
        return max(1, round(_REFINED * volume.steps))


def _nerf(config: Config) -> NeRFConfig:
    if not isinstance(config.generator, NeRFConfig):
        raise TypeError(f"representations are made of a volume's configuration, got {config.generator}")
    return config.generator


VOLUME = Representation("volume", "volume", "Density and colour, see --volume.")
REPRESENTATIONS = {
    representation.name: representation
    for representation in (
        VOLUME,
        SplatsRepresentation("splats", "splats", "2,000 Gaussian splats that start in a volume."),
        RefinedMesh("mesh", "refined mesh", "Mesh of a volume, whose vertex colours are optimised afterwards."),
    )
}


@dataclass(frozen=True)
class Variant:
    """Method on a 3D representation: a row of the tables.

    Attributes:
        entry: the method.
        representation: the 3D representation.
    """

    entry: Entry
    representation: Representation = VOLUME

    @property
    def name(self) -> str:
        """Name in folders and tables: that of the method, followed by the representation unless it is the volume."""
        return self.entry.name + self._suffix("-", self.representation.name)

    @property
    def title(self) -> str:
        """Display title."""
        return self.entry.title + self._suffix(", ", self.representation.title)

    def _suffix(self, separator: str, text: str) -> str:
        return "" if self.representation == VOLUME else separator + text
