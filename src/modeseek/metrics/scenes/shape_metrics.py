"""Shape metrics of a generated object against the ground truth, from held-out cameras."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes.static_scene import DISTANCE, FOV, StaticScene
from modeseek.generators.camera import Cameras
from modeseek.metrics.bootstrap import Estimate, mean_with_interval
from modeseek.metrics.color_difference import delta_e
from modeseek.metrics.image_statistics import saturation
from modeseek.metrics.scenes.alignment import SAMPLES, Alignment, RenderFunction, align, silhouette_overlap

_ELEVATIONS = (0.0, 20.0, 10.0, 35.0)  # degrees, in turn
_EXACT = 1e-10  # mean squared error below which images count as equal: 100 dB


@dataclass(frozen=True)
class ShapeMetrics:
    """Shape metrics of an object in n held-out views; NaN where a view has no value.

    Attributes:
        alignment: alignment of the ground truth used for all metrics.
        iou: IoU of the silhouettes, opacity above one half, in [0, 1].
        colour: mean absolute colour difference on the intersection of the silhouettes; NaN if it is empty.
        delta_e: mean CIELAB difference on the intersection; NaN if it is empty.
        psnr: PSNR of the whole image against the ground truth, dB, at most 100.
        saturation: mean saturation of the generated object's pixels; NaN without any.
        true_saturation: mean saturation of the ground truth's pixels.
    """

    alignment: Alignment
    iou: Float[Tensor, "n"]
    colour: Float[Tensor, "n"]
    delta_e: Float[Tensor, "n"]
    psnr: Float[Tensor, "n"]
    saturation: Float[Tensor, "n"]
    true_saturation: Float[Tensor, "n"]

    def estimates(self, seed: int = 0) -> dict[str, Estimate]:
        """Mean of each metric over the views with a value, with its bootstrap interval; NaN without any.

        Args:
            seed: random seed of the resampling.
        """
        estimates = {}
        for name, values in vars(self).items():
            if name != "alignment":
                finite = values[values.isfinite()]
                estimates[name] = mean_with_interval(finite, seed=seed) if len(finite) else Estimate(math.nan)
        return estimates


def held_out_cameras(n: int = 16, distance: float = DISTANCE, fov: float = FOV) -> Cameras:
    """n cameras evenly around, half a step from the front, at 0, 20, 10 and 35 degrees elevation in turn."""
    if n < 1:
        raise ValueError(f"held-out cameras must be at least one, got n={n}; try 16")
    ones = torch.ones(n)
    elevation = torch.tensor([_ELEVATIONS[k % len(_ELEVATIONS)] for k in range(n)])
    return Cameras((torch.arange(n) + 0.5) * 360 / n, elevation, distance * ones, fov * ones)


@torch.no_grad()
def measure_shape(
    render_fn: RenderFunction,
    ground_truth: StaticScene,
    *,
    cameras: Cameras | None = None,
    size: int = 64,
    free_yaw: bool = False,
    aligned: bool = True,
) -> ShapeMetrics:
    """Measures a generated object against the ground truth.

    Captions leave open size and height, so the ground truth is compared at the best common scale and lift of all views;
    with `free_yaw` at the best rotation about the vertical as well.

    Args:
        render_fn: render function of the generated object, on the background of the ground truth.
        ground_truth: scene to compare with.
        cameras: cameras of the comparison; default `held_out_cameras()`.
        size: side of the images, pixels.
        free_yaw: whether to align yaw too: without view conditions the caption leaves the azimuth open.
        aligned: whether to align at all; False compares with the ground truth as it is, whatever `free_yaw`.
    """
    cameras = held_out_cameras() if cameras is None else cameras
    alignment = align(render_fn, ground_truth, cameras, free_yaw) if aligned else Alignment()
    renders = alignment(ground_truth).render(cameras, size, SAMPLES)
    image, opacity = (t.float().cpu() for t in render_fn(cameras, size))
    iou, colour = silhouette_overlap(image, opacity, renders.image, renders.mask)
    generated_mask, true_mask = opacity > 0.5, renders.mask > 0.5
    both = (generated_mask & true_mask)[:, 0]
    difference = delta_e(image.clamp(0, 1), renders.image)
    squared_error = (image - renders.image).square().mean((1, 2, 3)).clamp(min=_EXACT)
    return ShapeMetrics(
        alignment,
        iou,
        colour,
        _mean(difference, both),
        -10 * squared_error.log10(),
        _mean_saturation(image, generated_mask),
        _mean_saturation(renders.image, true_mask),
    )


def _mean(values: Float[Tensor, "n h w"], mask: Tensor) -> Float[Tensor, "n"]:
    """Mean of values over a mask; NaN for an empty mask."""
    count = mask.sum((1, 2))
    return torch.where(count > 0, (values * mask).sum((1, 2)) / count, math.nan)


def _mean_saturation(image: Float[Tensor, "n 3 s s"], mask: Tensor) -> Float[Tensor, "n"]:
    """Mean saturation of the pixels of a mask; NaN for an empty mask."""
    n, _, s, _ = image.shape
    pixels = image.clamp(0, 1).permute(0, 2, 3, 1).reshape(-1, 3, 1, 1)
    return _mean(saturation(pixels).view(n, s, s), mask[:, 0])
