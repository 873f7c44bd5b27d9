"""How near a found object is to the true one, seen from cameras that no optimisation used."""

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

_HEIGHTS = (0.0, 20.0, 10.0, 35.0)
_EXACT = 1e-10  # mean square error below which pictures count as equal: 100 dB


@dataclass(frozen=True)
class ShapeMetrics:
    """What n held-out views say of an object; NaN where a view has no answer.

    Attributes:
        alignment: of the truth, by which everything is measured.
        iou: of the silhouettes, opacity above one half, in [0, 1].
        colour: mean absolute difference of colours where both silhouettes are; NaN where they do not meet.
        delta_e: mean CIELAB difference there.
        psnr: of the whole picture against the true one, decibels, 100 at most.
        saturation: of the found object's own pixels; NaN where it is not seen.
        true_saturation: of the true object's.
    """

    alignment: Alignment
    iou: Float[Tensor, "n"]
    colour: Float[Tensor, "n"]
    delta_e: Float[Tensor, "n"]
    psnr: Float[Tensor, "n"]
    saturation: Float[Tensor, "n"]
    true_saturation: Float[Tensor, "n"]

    def estimates(self, seed: int = 0) -> dict[str, Estimate]:
        """Each measure's mean over the views that have it, with its bootstrap interval; NaN where none has.

        Args:
            seed: of the resampling.
        """
        told = {}
        for name in ("iou", "colour", "delta_e", "psnr", "saturation", "true_saturation"):
            values = getattr(self, name)
            values = values[values.isfinite()]
            told[name] = mean_with_interval(values, seed=seed) if len(values) else Estimate(math.nan)
        return told


def held_out_cameras(n: int = 16, distance: float = DISTANCE, fov: float = FOV) -> Cameras:
    """n cameras around, evenly, half a step from the front, at 0, 20, 10 and 35 degrees of elevation in turn."""
    if n < 1:
        raise ValueError(f"held-out views are at least one: got {n}; raise it")
    same = torch.ones(n)
    height = torch.tensor([_HEIGHTS[k % len(_HEIGHTS)] for k in range(n)])
    return Cameras((torch.arange(n) + 0.5) * 360 / n, height, distance * same, fov * same)


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
    """Measures a found object against the truth.

    Words say neither how large a thing is nor how high it stands, so the truth is compared at the best of one size and
    one lift for all views; with `turns` at the best turn about the vertical as well.

    Args:
        look: the found object; on the background of the truth.
        still: the truth.
        cameras: default `held_out_cameras()`.
        size: of the pictures.
        turns: no view was told, so the caption leaves the azimuth open.
        moves: False compares the truth as it stands, whatever `turns`.
    """
    cameras = held_out_cameras() if cameras is None else cameras
    alignment = align(render_fn, ground_truth, cameras, free_yaw) if aligned else Alignment()
    shots = alignment(ground_truth).render(cameras, size, SAMPLES)
    image, opacity = (t.float().cpu() for t in render_fn(cameras, size))
    iou, colour = silhouette_overlap(image, opacity, shots.image, shots.mask)
    found, there = opacity > 0.5, shots.mask > 0.5
    both = (found & there)[:, 0]
    differs = delta_e(image.clamp(0, 1), shots.image)
    wrong = (image - shots.image).square().mean((1, 2, 3)).clamp(min=_EXACT)
    return ShapeMetrics(
        alignment,
        iou,
        colour,
        _mean(differs, both),
        -10 * wrong.log10(),
        _mean_saturation(image, found),
        _mean_saturation(shots.image, there),
    )


def _mean(values: Float[Tensor, "n h w"], where: Tensor) -> Float[Tensor, "n"]:
    """Over the pixels that are told; NaN where there is none."""
    count = where.sum((1, 2))
    return torch.where(count > 0, (values * where).sum((1, 2)) / count, math.nan)


def _mean_saturation(image: Float[Tensor, "n 3 s s"], where: Tensor) -> Float[Tensor, "n"]:
    """Mean saturation of the pixels that are told; NaN where there is none."""
    n, _, s, _ = image.shape
    pixels = image.clamp(0, 1).permute(0, 2, 3, 1).reshape(-1, 3, 1, 1)
    return _mean(saturation(pixels).view(n, s, s), where[:, 0])
