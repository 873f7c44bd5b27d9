"""Configuration of a measured image: its file, its operator, and the noise of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.config.loaded_prior import LoadedPrior
from modeseek.io.image_files import image_file_size, read_image_file
from modeseek.io.remarks import add_remark
from modeseek.methods.base import Method
from modeseek.methods.data_weight import data_weight
from modeseek.methods.msd import MSD
from modeseek.operators import Blur, Composition, Downsample, GaussianLikelihood, Mask, Operator
from modeseek.priors.base import Prior
from modeseek.priors.measured import Measured
from modeseek.regularizers import MeasurementPenalty, Penalty
from modeseek.rng import Streams, randn

OperatorName = Literal["inpaint", "blur", "downsample"]
Boundary = Literal["valid", "circular"]
_FEW = 0.5  # share of the data below which a remark says how many are used


@dataclass(frozen=True)
class ImageMeasurement:
    """Measured image of a run.

    Attributes:
        operator: what measured it, on images (b, c, h, w) in [0, 1].
        y: data, (1, *e).
        noise: standard deviation of their noise, in units of pixels, >= 0.
        truth: the clean image, (c, h, w), of a run that degrades one itself; else None.
        shown: the degraded image for display, (c, p, q), in [0, 1] up to its noise; grey where a mask hides it.
        missing: 1 where the data are not used, (h, w); None where all of them are.
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
        operator: inpaint (a part is missing), blur, or downsample (means of blocks of pixels).
        noise: standard deviation of the noise of the data, pixels in [0, 1], >= 0; 0 keeps the data.
        degrade: whether to degrade the image first, with noise; scores are then against the image itself.
        mask: image file that is white where the image is missing, of the image's size; for inpaint.
        factor: factor of the down-sampling, whole number >= 1.
        sigma: standard deviation of a Gaussian blur, pixels, > 0.
        kernel: image file of the kernel of a blur, its brightness normalised; None is the Gaussian of `sigma`.
        boundary: edges of a blurred image: valid uses the pixels on which only the image itself was spread, and so
            assumes nothing of what lies outside; circular uses all, of an image that continues periodically.
    """

    file: Path
    operator: OperatorName
    noise: float = 0.05
    degrade: bool = False
    mask: Path | None = None
    factor: int = 4
    sigma: float = 1.5
    kernel: Path | None = None
    boundary: Boundary = "valid"

    def __post_init__(self) -> None:
        if not 0 <= self.noise < math.inf:
            raise ValueError(f"noise must be at least 0 and finite, got {self.noise}; try 0.05")
        if self.factor < 1:
            raise ValueError(f"factor must be a whole number >= 1, got {self.factor}; try 4")
        if not 0 < self.sigma < math.inf:
            raise ValueError(f"sigma must be positive and finite, in pixels, got {self.sigma}; try 1.5")
        if self.boundary not in get_args(Boundary):
            raise ValueError(f"boundary must be {' or '.join(get_args(Boundary))}, got {self.boundary!r:.20}")
        if self.operator == "blur" and self.boundary == "valid" and self.noise == 0:
            raise ValueError(
                "noise must be above 0 for a blur whose edges are left out, got 0: nothing would decide what the blur "
                "removed; try 0.005, or --set measurement.boundary=circular"
            )
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
        hidden, degradation = self._hidden((height, width)), self._degradation((height, width))
        size = tuple(degradation(torch.zeros(1, channels, height, width)).shape[2:])
        truth = None
        if self.degrade:
            truth = read_image_file(self.file, (height, width), channels).to(like)
            data = degradation(truth[None])[0]
            data = data + self.noise * randn((1, *data.shape), Streams(seed, use="measurement"), data)[0]
        else:
            data = read_image_file(self.file, (size[0], size[1]), channels).to(like)
        shown = data if hidden is None else torch.where(hidden.to(like) > 0, 0.5, data)
        missing = self._border(degradation, (height, width)) if hidden is None else hidden
        if missing is None:
            return ImageMeasurement(degradation, data[None], self.noise, truth, shown)
        mask = Mask(1 - missing)
        operator = mask if hidden is not None else Composition(mask, degradation)
        return ImageMeasurement(operator, mask(data[None]), self.noise, truth, shown, missing)

    def _degradation(self, size: tuple[int, int]) -> Operator:
        """The operator that degrades whole images; a mask comes after it."""
        if self.operator == "inpaint":
            return Mask(torch.ones(size))
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

    def _border(self, degradation: Operator, size: tuple[int, int]) -> Float[Tensor, "h w"] | None:
        """Returns 1 where a blur has brought in what lies outside the image; None where nothing is left out."""
        if self.boundary == "circular" or not isinstance(degradation, Blur):
            return None
        border = torch.ones(size)
        border[tuple(_inside(degradation.kernel, axis, size[axis]) for axis in (0, 1))] = 0
        share = 1 - border.mean().item()
        if share == 0:
            raise ValueError(
                f"a blur must be narrower than the image, got one that brings what lies outside to all of its "
                f"{size[1]} x {size[0]} pixels; try a narrower one, or --set measurement.boundary=circular"
            )
        if share < _FEW:
            add_remark(
                f"only {share:.0%} of the blurred pixels are free of what lies outside the image, and used; "
                "measurement.boundary=circular uses all, of an image that continues periodically"
            )
        return border

    def _hidden(self, size: tuple[int, int]) -> Float[Tensor, "h w"] | None:
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


def _inside(kernel: Tensor, axis: int, n: int) -> slice:
    """Pixels along an axis of n on which a kernel, where it is not 0, spreads pixels of the image alone."""
    used = (kernel != 0).any(1 - axis).nonzero()[:, 0] - kernel.shape[axis] // 2
    return slice(max(0, int(used.max())), n + min(0, int(used.min())))
