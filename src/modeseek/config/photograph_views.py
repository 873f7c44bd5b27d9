"""Photographs of a run as its shape's cameras see them, and their data term."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.config.capture import CaptureConfig
from modeseek.datasets.captures import Capture, Framing, rectify
from modeseek.diffusion.schedule import Schedule
from modeseek.generators.base import Rendering
from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.generator3d import Generator3D
from modeseek.io.remarks import add_remark
from modeseek.methods.base import Method
from modeseek.methods.data_weight import data_weight
from modeseek.methods.msd import MSD
from modeseek.operators import GaussianLikelihood, RowMask
from modeseek.ramp import Varying
from modeseek.regularizers import MeasurementPenalty
from modeseek.rng import Streams, rand

_TICKS = 2**40  # of progress, by which draws are distinguished


@dataclass(frozen=True)
class PhotographViews:
    """Square photographs and their cameras.

    Attributes:
        names: path of the file of each.
        images: the photographs, in [0, 1].
        seen: 1 where a photograph counts, else 0.
        cameras: the camera of each; they look at the origin.
        held_out: whether each is for comparison only.
    """

    names: tuple[str, ...]
    images: Float[Tensor, "n 3 s s"]
    seen: Float[Tensor, "n 1 s s"]
    cameras: Cameras
    held_out: tuple[bool, ...]

    def to(self, like: Tensor) -> PhotographViews:
        """Returns them with the images in the dtype and on the device of a tensor; cameras stay on the CPU."""
        return PhotographViews(self.names, self.images.to(like), self.seen.to(like), self.cameras, self.held_out)

    def view(self, rows: Int[Tensor, "r"]) -> CameraView:
        """Returns the view of some cameras."""
        return CameraView(tuple(range(len(rows))), self.cameras.select(rows), self.images.shape[-1])


def views_of_capture(capture: Capture, framing: Framing, config: CaptureConfig, side: int) -> PhotographViews:
    """Resamples the photographs of a capture for cameras that look at the origin; remarks say how it was framed.

    Raises:
        ValueError: a file is no image or has another shape than its lens, no photograph shows the object, or all would
            be held out.
        OSError: a file cannot be read.
    """
    cameras = framing.cameras(capture)
    found = [rectify(item, framing, cameras.select(k), side) for k, item in enumerate(capture.photographs)]
    kept = [k for k, view in enumerate(found) if view.seen.any()]
    names = [os.path.relpath(item.file, capture.file.parent) for item in capture.photographs]
    left_out = [name for k, name in enumerate(names) if k not in kept]
    if not kept:
        raise ValueError(
            f"the photographs of {capture.file} must show the object, got cameras that look elsewhere or masks that "
            "exclude all; try --set photographs.capture.centre=[0,0,0], the object's centre in the file's world"
        )
    if left_out:
        add_remark(
            f"{capture.file.name}: {len(left_out)} photographs are left out, which show nothing around the object or "
            f"have a mask that excludes all: {', '.join(left_out[:3])}{' ...' if len(left_out) > 3 else ''}"
        )
    held_out, cameras = config.is_held_out(len(kept)), cameras.select(torch.tensor(kept))
    add_remark(_framed(capture, framing, cameras, sum(held_out)))
    images, seen = (torch.stack(part) for part in zip(*(found[k] for k in kept), strict=True))
    return PhotographViews(tuple(names[k] for k in kept), images, seen, cameras, held_out)


def _framed(capture: Capture, framing: Framing, cameras: Cameras, held_out: int) -> str:
    """How a capture was framed, for the log."""
    centre, up = ((x.round(decimals=3) + 0.0).tolist() for x in (framing.centre, framing.axes[1]))
    return (
        f"{capture.file.name}, {len(cameras)} photographs, {held_out} held out: the object is at {_triple(centre)} of "
        f"its world, {_triple(up)} is up, and a unit is {framing.scale:.3g} of the shape's; cameras from "
        f"{cameras.elevation.min():.0f} to {cameras.elevation.max():.0f} degrees of elevation"
    )


def _triple(point: Sequence[float]) -> str:
    return f"({', '.join(f'{x:.3g}' for x in point)})"


@dataclass(frozen=True)
class PhotographPenalty:
    """Regularizer: the data term of photographs, mean over those that are rendered in a step.

    Attributes:
        weight: weight >= 0, or a function of progress in [0, 1].
        shape: shape that is rendered.
        views: the photographs, held-out ones among them.
        data: likelihood of all of them.
        per_step: photographs a step, >= 1.
        seed: random seed of the draw.
    """

    weight: Varying
    shape: Generator3D
    views: PhotographViews
    data: GaussianLikelihood
    per_step: int
    seed: int

    def rows(self, progress: float) -> Int[Tensor, "r"]:
        """Returns the photographs of the step at a progress: all, or `per_step` drawn without replacement."""
        used = torch.tensor([k for k, out in enumerate(self.views.held_out) if not out])
        if len(used) <= self.per_step:
            return used
        streams = Streams(self.seed, round(progress * _TICKS), use="photographs")
        order = rand((len(used),), streams, torch.empty(0)).argsort()
        return used[order[: self.per_step]].sort().values

    def __call__(self, rendering: Rendering, progress: float) -> Float[Tensor, ""]:
        """Returns the weighted data term at a progress in [0, 1]; the step's own rendering is not used."""
        rows = self.rows(progress)
        term = MeasurementPenalty(self.weight, self.data.select(rows), self.shape, self.views.view(rows))
        return term(rendering, progress)


@dataclass(frozen=True)
class Photographs:
    """Photographs of a run.

    Attributes:
        shape: shape that is rendered from their cameras.
        views: the photographs.
        noise: standard deviation of the noise of their pixels in [0, 1].
        weight: factor of the weight of the data term.
        per_step: photographs that are rendered in a step.
        seed: random seed of the draw.
    """

    shape: Generator3D
    views: PhotographViews
    noise: float
    weight: float
    per_step: int
    seed: int

    def penalty(self, method: Method, schedule: Schedule) -> PhotographPenalty:
        """Returns the data term of the photographs beside a method's directions."""
        assert isinstance(method, MSD)  # checked when the configuration was made
        factor, plain, seen = self.weight, data_weight(method, schedule, self.noise), self.views.seen
        term = GaussianLikelihood.measured(RowMask(seen), seen * self.views.images, self.noise)
        return PhotographPenalty(
            lambda progress: factor * plain(progress), self.shape, self.views, term, self.per_step, self.seed
        )
