"""Photographs of an object from known cameras, which a 3D shape matches beside the prior."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.config.loaded_prior import LoadedPrior
from modeseek.diffusion.schedule import Schedule
from modeseek.generators.base import BaseGenerator
from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.generator3d import Generator3D
from modeseek.io.image_files import check_image_file, read_image_file
from modeseek.io.paths import absolute_path
from modeseek.methods.base import Method
from modeseek.methods.data_weight import data_weight
from modeseek.methods.msd import MSD
from modeseek.operators import GaussianLikelihood, Mask
from modeseek.regularizers import MeasurementPenalty

_EXAMPLE = "front.png=0 right.png=90 above.png=180,30"


@dataclass(frozen=True)
class Photograph:
    """Photograph of the object of a run.

    Attributes:
        file: image file, PNG, JPEG or WebP, on white where it is transparent, cropped to its middle square.
        azimuth: azimuth of its camera, degrees: 0 sees the front, 90 the side on the camera's right, 180 the back.
        elevation: elevation of its camera, degrees, -90 to 90.
    """

    file: Path
    azimuth: float
    elevation: float = 0.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.azimuth) or not abs(self.elevation) <= 90:
            raise ValueError(
                "a photograph must have a finite azimuth and an elevation from -90 to 90 degrees, got "
                f"{self.azimuth:g} and {self.elevation:g}; try {_EXAMPLE}"
            )

    @classmethod
    def parse(cls, text: str) -> Photograph:
        """Returns the photograph that FILE=AZIMUTH or FILE=AZIMUTH,ELEVATION names.

        Raises:
            ValueError: another text, or angles that are no numbers.
        """
        path, _, angles = text.rpartition("=")
        try:
            numbers = [float(angle) for angle in angles.split(",")]
        except ValueError:
            numbers = []
        if not path or len(numbers) not in (1, 2):
            raise ValueError(
                f"a photograph must be FILE=AZIMUTH or FILE=AZIMUTH,ELEVATION in degrees, got {text!r}; try {_EXAMPLE}"
            )
        return cls(absolute_path(path), *numbers)


@dataclass(frozen=True)
class PhotographsConfig:
    """Photographs of the object of a run, all by one lens from one distance.

    Attributes:
        items: the photographs, >= 1, each rendered in every step.
        noise: standard deviation of the noise of their pixels in [0, 1], > 0.
        weight: factor > 0 of the weight of `methods.data_weight`, with which a shape under an unguided prior of pixels
            ends as near as the noise says. The default, the best of 1, 10 and 100 from three photographs under the
            guided prior scenes, ends nearer: residuals of 0.002 at noise 0.05.
        fov: full field of view of their cameras, degrees; null is the middle of the generator's orbit.
        distance: distance of their cameras, world units; null is the middle of the generator's orbit.
    """

    items: tuple[Photograph, ...]
    noise: float = 0.05
    weight: float = 100.0
    fov: float | None = None
    distance: float | None = None

    def __post_init__(self) -> None:
        if not self.items:
            raise ValueError(f"photographs must be one or more, got none; try {_EXAMPLE}")
        for name, value, usual in (("noise", self.noise, 0.05), ("weight", self.weight, 100)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} of photographs must be positive and finite, got {value:g}; try {usual:g}")
        if self.fov is not None and not 0 < self.fov < 180:
            raise ValueError(f"fov of photographs must be in (0, 180) degrees, got {self.fov:g}; try 34")
        if self.distance is not None and not 0 < self.distance < math.inf:
            raise ValueError(f"distance of photographs must be positive and finite, got {self.distance:g}; try 3.5")

    def load(self, shape: BaseGenerator, loaded: LoadedPrior) -> Photographs:
        """Reads the photographs at the size of the prior's images.

        Args:
            shape: shape that is rendered from their cameras.
            loaded: prior whose codec gives the size of the images.

        Raises:
            ValueError: there are several shapes, or a file is no image.
            OSError: a file cannot be read.
        """
        if not isinstance(shape, Generator3D):
            raise ValueError(
                f"photographs need one 3D shape, got {type(shape).__name__} of several; try without --particles"
            )
        side = min(loaded.codec.image_shape(loaded.prior.shape)[1:])
        images = [read_image_file(item.file, (side, side)) for item in self.items]
        return Photographs(self, shape, torch.stack(images).to(loaded.like), self._cameras(shape))

    def _cameras(self, shape: Generator3D) -> Cameras:
        n = len(self.items)
        middle = shape.orbit.ring(n, fov=self.fov)
        distance = middle.distance if self.distance is None else torch.full((n,), self.distance)
        angles = torch.tensor([(item.azimuth, item.elevation) for item in self.items])
        return Cameras(angles[:, 0], angles[:, 1], distance, middle.fov)


def parse_photographs(texts: Sequence[str]) -> PhotographsConfig | None:
    """Returns the configuration of photographs, FILE=AZIMUTH or FILE=AZIMUTH,ELEVATION each; None for none.

    Raises:
        ValueError: another text, or a file that is no image.
        OSError: a file cannot be read.
    """
    items = tuple(map(Photograph.parse, texts))
    for item in items:
        check_image_file(item.file)
    return PhotographsConfig(items) if items else None


@dataclass(frozen=True)
class Photographs:
    """Photographs of a run, and where they were taken.

    Attributes:
        config: their configuration.
        shape: shape that is rendered from their cameras.
        images: the photographs, in [0, 1].
        cameras: the camera of each.
    """

    config: PhotographsConfig
    shape: Generator3D
    images: Float[Tensor, "n 3 s s"]
    cameras: Cameras

    @property
    def view(self) -> CameraView:
        """View of all cameras."""
        return CameraView(tuple(range(len(self.cameras))), self.cameras, self.images.shape[-1])

    def penalty(self, method: Method, schedule: Schedule) -> MeasurementPenalty:
        """Returns the data term of the photographs beside a method's directions; it renders each of them."""
        assert isinstance(method, MSD)  # checked when the configuration was made
        noise, factor = self.config.noise, self.config.weight
        plain = data_weight(method, schedule, noise)
        term = GaussianLikelihood.measured(Mask(torch.ones_like(self.images[0])), self.images, noise)
        return MeasurementPenalty(lambda progress: factor * plain(progress), term, self.shape, self.view)
