"""Photographs of an object from known cameras, which a 3D shape matches beside the prior."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from modeseek.config.capture import CaptureConfig
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.photograph_views import Photographs, PhotographViews, views_of_capture
from modeseek.datasets.captures import read_transforms
from modeseek.generators.base import BaseGenerator
from modeseek.generators.camera import Cameras
from modeseek.generators.generator3d import Generator3D
from modeseek.io.image_files import check_image_file, read_image_file
from modeseek.io.paths import absolute_path

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
    """Photographs of the object of a run: single ones, all by one lens from one distance, or a capture with poses.

    Attributes:
        items: single photographs.
        capture: a transforms.json of nerfstudio; null for single photographs.
        noise: standard deviation of the noise of their pixels in [0, 1], > 0.
        weight: factor > 0 of the weight of `methods.data_weight`, with which a shape under an unguided prior of pixels
            ends as near as the noise says. The default, the best of 1, 10 and 100 from three photographs under the
            guided prior scenes, ends nearer: residuals of 0.002 at noise 0.05.
        per_step: photographs that are rendered in a step, >= 1; of more, others are drawn in each step.
        fov: full field of view of the cameras of `items`, degrees; null is the middle of the generator's orbit.
        distance: distance of the cameras of `items`, world units; null is the middle of the generator's orbit.
    """

    items: tuple[Photograph, ...] = ()
    capture: CaptureConfig | None = None
    noise: float = 0.05
    weight: float = 100.0
    per_step: int = 4
    fov: float | None = None
    distance: float | None = None

    def __post_init__(self) -> None:
        if bool(self.items) == (self.capture is not None):
            got = "both" if self.items else "none"
            raise ValueError(f"photographs must be single ones or one capture, got {got}; try {_EXAMPLE}")
        for name, value, usual in (("noise", self.noise, 0.05), ("weight", self.weight, 100)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} of photographs must be positive and finite, got {value:g}; try {usual:g}")
        if self.per_step < 1:
            raise ValueError(f"per_step of photographs must be at least 1, got {self.per_step}; try 4")
        if self.capture is not None and (self.fov, self.distance) != (None, None):
            raise ValueError("a capture has the lenses and distances of its cameras; try without fov and distance")
        if self.fov is not None and not 0 < self.fov < 180:
            raise ValueError(f"fov of photographs must be in (0, 180) degrees, got {self.fov:g}; try 34")
        if self.distance is not None and not 0 < self.distance < math.inf:
            raise ValueError(f"distance of photographs must be positive and finite, got {self.distance:g}; try 3.5")

    def load(self, shape: BaseGenerator, loaded: LoadedPrior, seed: int) -> Photographs:
        """Reads the photographs at the size of the prior's images.

        Args:
            shape: shape that is rendered from their cameras.
            loaded: prior whose codec gives the size of the images.
            seed: random seed of the draw of photographs.

        Raises:
            ValueError: there are several shapes, a file is no image, or the capture cannot be framed.
            OSError: a file cannot be read.
        """
        if not isinstance(shape, Generator3D):
            raise ValueError(
                f"photographs need one 3D shape, got {type(shape).__name__} of several; try without --particles"
            )
        side = min(loaded.codec.image_shape(loaded.prior.shape)[1:])
        views = self._single(shape, side) if self.capture is None else self._captured(self.capture, shape, side)
        return Photographs(shape, views.to(loaded.like), self.noise, self.weight, self.per_step, seed)

    def _single(self, shape: Generator3D, side: int) -> PhotographViews:
        n = len(self.items)
        middle = shape.orbit.ring(n, fov=self.fov)
        distance = middle.distance if self.distance is None else torch.full((n,), self.distance)
        angles = torch.tensor([(item.azimuth, item.elevation) for item in self.items])
        images = torch.stack([read_image_file(item.file, (side, side)) for item in self.items])
        cameras = Cameras(angles[:, 0], angles[:, 1], distance, middle.fov)
        names = tuple(item.file.name for item in self.items)
        return PhotographViews(names, images, torch.ones_like(images[:, :1]), cameras, (False,) * n)

    def _captured(self, config: CaptureConfig, shape: Generator3D, side: int) -> PhotographViews:
        middle = shape.orbit.ring(1)
        span = (middle.distance * (middle.fov / 2).deg2rad().tan()).item()
        capture, framing = config.load(span)
        return views_of_capture(capture, framing, config, side)


def parse_photographs(texts: Sequence[str]) -> PhotographsConfig | None:
    """Returns the configuration of photographs.

    Each is FILE=AZIMUTH or FILE=AZIMUTH,ELEVATION; or they are one transforms.json, or its folder.

    Raises:
        ValueError: another text, or a file that is no image.
        OSError: a file cannot be read.
    """
    captures = [text for text in texts if Path(text).suffix.lower() == ".json" or Path(text).is_dir()]
    if captures:
        if len(texts) > 1:
            raise ValueError(
                f"photographs must be single ones or one capture, got {captures[0]} and others; try the capture alone"
            )
        path = absolute_path(captures[0])
        capture = CaptureConfig(path / "transforms.json" if path.is_dir() else path)
        for photograph in read_transforms(capture.file).photographs:
            for file in (photograph.file, photograph.mask):
                if file is not None:
                    check_image_file(file)
        return PhotographsConfig(capture=capture)
    items = tuple(map(Photograph.parse, texts))
    for item in items:
        check_image_file(item.file)
    return PhotographsConfig(items) if items else None
