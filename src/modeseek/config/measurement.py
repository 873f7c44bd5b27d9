"""Configuration of a measured image: its file, its operator, and the noise of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.config.loaded_prior import LoadedPrior
from modeseek.io.image_files import image_file_size, read_image_file
from modeseek.methods.base import Method
from modeseek.methods.data_weight import data_weight
from modeseek.methods.msd import MSD
from modeseek.operators import Blur, Downsample, GaussianLikelihood, Mask, Operator
from modeseek.priors.base import Prior
from modeseek.priors.measured import Measured
from modeseek.regularizers import MeasurementPenalty, Penalty
from modeseek.rng import Streams, randn

OperatorName = Literal["inpaint", "blur", "downsample"]


@dataclass(frozen=True)
class ImageMeasurement:
    """Measured image of a run.

    Attributes:
        operator: what measured it, on images (b, c, h, w) in [0, 1].
        y: data, (1, *e).
        noise: standard deviation of their noise, in units of pixels, >= 0.
        truth: the clean image, (c, h, w), of a run that degrades one itself; else None.
        shown: the degraded image, (c, p, q), in [0, 1] up to its noise.
        missing: 1 where the image is not measured, (h, w); None where all of it is.
    """

    operator: Operator
    y: Float[Tensor, "1 *e"]
    noise: float
    truth: Float[Tensor, "c h w"] | None
    shown: Float[Tensor, "c p q"]
    missing: Tensor | None = None

    def measured(self, prior: Prior, loaded: LoadedPrior) -> Measured:
        """Returns the prior with the measurement of the image that the codec decodes from z."""
        return Measured(prior, self.operator, self.y, self.noise, loaded.codec.decode)

    def penalties(self, method: Method, prior: Prior, pixels: bool) -> tuple[Penalty, ...]:
        """Returns the data term of the image beside MSD, for generators of pixels: encoders drop parts of an image."""
        if not pixels or not isinstance(method, MSD):
            return ()
        term = GaussianLikelihood.measured(self.operator, self.y, self.noise)
        weight = data_weight(method, prior.schedule, term.noise.max().item())
        return (MeasurementPenalty(weight, term),)


@dataclass(frozen=True)
class MeasurementConfig:
    """Degraded image that a run restores, and how it was degraded.

    Attributes:
        file: image file, PNG, JPEG or WebP: the degraded image, or with `degrade` a clean one that is degraded first.
        operator: inpaint (a part is missing), blur (circular), or downsample (means of blocks of pixels).
        noise: standard deviation of the noise of the data, pixels in [0, 1], >= 0; 0 keeps the data.
        degrade: whether to degrade the image first, with noise; scores are then against the image itself.
        mask: image file that is white where the image is missing, of the image's size; for inpaint.
        factor: factor of the down-sampling, whole number >= 1.
        sigma: standard deviation of a Gaussian blur, pixels, > 0.
        kernel: image file of the kernel of a blur, its brightness normalised; None is the Gaussian of `sigma`.
    """

    file: Path
    operator: OperatorName
    noise: float = 0.05
    degrade: bool = False
    mask: Path | None = None
    factor: int = 4
    sigma: float = 1.5
    kernel: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.noise < math.inf:
            raise ValueError(f"noise must be at least 0 and finite, got {self.noise}; try 0.05")
        if self.factor < 1:
            raise ValueError(f"factor must be a whole number >= 1, got {self.factor}; try 4")
        if not 0 < self.sigma < math.inf:
            raise ValueError(f"sigma must be positive and finite, in pixels, got {self.sigma}; try 1.5")
        if (self.mask is None) == (self.operator == "inpaint"):
            got = "none" if self.mask is None else f"one for {self.operator}"
            raise ValueError(f"a mask must be given for inpaint alone, got {got}; try --operator inpaint --mask FILE")

    def load(self, loaded: LoadedPrior, seed: int) -> ImageMeasurement:
        """Returns the measurement at the size of the prior's images.

        Args:
            loaded: prior whose codec gives the size of the image.
            seed: random seed of the noise of an image that is degraded here.

        Raises:
            ValueError: a file is no image, the mask has another size than the image or hides all of it, or the factor
                does not divide the image.
            OSError: a file cannot be read.
        """
        channels, height, width = loaded.codec.image_shape(loaded.prior.shape)
        like = loaded.like
        missing = self._missing((height, width))
        operator = self._operator(missing, (height, width))
        size = tuple(operator(torch.zeros(1, channels, height, width)).shape[2:])
        if not self.degrade:
            data = read_image_file(self.file, (size[0], size[1]), channels).to(like)
            y = data if missing is None else data * (1 - missing.to(like))
            return ImageMeasurement(operator, y[None], self.noise, None, data, missing)
        truth = read_image_file(self.file, (height, width), channels).to(like)
        clean = operator(truth[None])
        noise = self.noise * randn(tuple(clean.shape), Streams(seed, use="measurement"), clean)
        y = clean + (noise if missing is None else noise * (1 - missing.to(like)))
        return ImageMeasurement(operator, y, self.noise, truth, y[0], missing)

    def _operator(self, missing: Tensor | None, size: tuple[int, int]) -> Operator:
        if missing is not None:
            return Mask(1 - missing)
        if self.operator == "downsample":
            return Downsample(self.factor)
        if self.kernel is None:
            return Blur.gaussian(self.sigma)
        shape = image_file_size(self.kernel)
        if shape[0] > size[0] or shape[1] > size[1]:
            raise ValueError(
                f"kernel must be no larger than the image of {size[0]} x {size[1]} pixels, got {shape[0]} x {shape[1]}"
                "; try a smaller one"
            )
        kernel = read_image_file(self.kernel, shape, 1)[0]
        return Blur(kernel / kernel.sum() if kernel.sum() > 0 else kernel)

    def _missing(self, size: tuple[int, int]) -> Float[Tensor, "h w"] | None:
        """Returns 1 where the image is missing, at a size; None without a mask."""
        if self.mask is None:
            return None
        expected, got = image_file_size(self.file), image_file_size(self.mask)
        if expected != got:
            raise ValueError(
                f"mask must have the size of the image, {expected[1]} x {expected[0]} pixels, got {got[1]} x {got[0]}; "
                f"try another mask than {self.mask.name}"
            )
        missing = (read_image_file(self.mask, size, 1)[0] > 0.5).float()
        if missing.all():
            raise ValueError(f"mask must leave some of the image, got {self.mask.name}, which is white everywhere")
        return missing
