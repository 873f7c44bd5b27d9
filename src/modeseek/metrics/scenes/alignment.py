"""Alignment of the ground truth with a generated object in scale, height and yaw, which captions leave open."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.datasets.scenes.static_scene import StaticScene
from modeseek.generators.base import Generator, render
from modeseek.generators.camera import Cameras, CameraView, wrap_degrees
from modeseek.generators.rendering3d import Rendering3D

RenderFunction = Callable[[Cameras, int], tuple[Tensor, Tensor]]
"""(cameras, size) -> images (n, 3, s, s) in [0, 1] and opacities (n, 1, s, s) of the generated object."""

SCALES = (0.7, 0.84, 1.0, 1.2, 1.43)
LIFTS = (-0.2, -0.1, 0.0, 0.1, 0.2)
_COARSE, _SEARCH = 24, 40  # image sides of the grid search and of the refinement, pixels
SAMPLES = 3  # rays across an edge pixel of the ground truth; odd, so that no pixel is exactly half covered
_YAWS = 24  # number of yaws in the grid search
_ROUNDS = 5  # rounds of refinement, each with half the step of the previous one


@dataclass(frozen=True)
class Alignment:
    """Similarity transform applied to the ground truth before comparison, see `StaticScene.transformed`.

    Attributes:
        scale: scale factor, > 0.
        lift: upward translation after scaling, world units.
        yaw: rotation about the vertical, degrees, counter-clockwise from above.
    """

    scale: float = 1.0
    lift: float = 0.0
    yaw: float = 0.0

    def __call__(self, scene: StaticScene) -> StaticScene:
        """Transformed scene."""
        return scene.transformed(self.scale, self.lift, self.yaw)


def render_function(generator: Generator) -> RenderFunction:
    """Render function of a 3-D generator.

    It raises a ValueError if the generator renders no `Rendering3D`, hence no opacity.
    """

    def render_fn(cameras: Cameras, size: int) -> tuple[Tensor, Tensor]:
        rendering = render(generator, CameraView(tuple(range(len(cameras))), cameras, size))
        if not isinstance(rendering, Rendering3D):
            raise ValueError(f"rendering must have an opacity, got {type(rendering).__name__}; try a 3-D generator")
        return rendering.image, rendering.opacity

    return render_fn


def silhouette_overlap(
    image: Float[Tensor, "*#b 3 s s"],
    opacity: Float[Tensor, "*#b 1 s s"],
    true: Float[Tensor, "*#b 3 s s"],
    mask: Float[Tensor, "*#b 1 s s"],
) -> tuple[Float[Tensor, "*c"], Float[Tensor, "*c"]]:
    """IoU of the silhouettes (opacity above one half) and mean absolute colour difference on their intersection.

    The difference is NaN without a common pixel; the IoU of two empty silhouettes is 0.
    """
    generated_mask, true_mask = opacity > 0.5, mask > 0.5
    both, either = (generated_mask & true_mask).sum((-3, -2, -1)), (generated_mask | true_mask).sum((-3, -2, -1))
    difference = ((image - true).abs().mean(-3, keepdim=True) * (generated_mask & true_mask)).sum((-3, -2, -1))
    return both / either.clamp(min=1), torch.where(both > 0, difference / both, math.nan)


def align(render_fn: RenderFunction, ground_truth: StaticScene, cameras: Cameras, free_yaw: bool) -> Alignment:
    """Alignment under which the ground truth best matches the generated object.

    Maximises mean IoU minus mean colour difference over the cameras: first on a grid of scales (0.7 to 1.43) and lifts
    (-0.2 to 0.2) applied to the image, with `free_yaw` also of yaws every 15 degrees; then by coordinate search on
    re-renders in halving steps. Never worse than the identity.

    Args:
        render_fn: render function of the generated object.
        ground_truth: scene to align.
        cameras: cameras that render both.
        free_yaw: whether to search over yaw: without view conditions the front may face any azimuth.
    """
    image, opacity = _render_cpu(render_fn, cameras, _COARSE)
    start = _grid_search(image, opacity, ground_truth, cameras, free_yaw)
    image, opacity = _render_cpu(render_fn, cameras, _SEARCH)

    def score(alignment: Alignment) -> float:
        renders = alignment(ground_truth).render(cameras, _SEARCH, SAMPLES)
        return _score(*silhouette_overlap(image, opacity, renders.image, renders.mask)).item()

    best = max((Alignment(), start), key=score)
    value = score(best)
    for k in range(_ROUNDS):
        scale, lift, yaw = 1.1 ** (0.5**k), 0.05 * 0.5**k, 7.5 * 0.5**k
        steps = [(scale, 0.0, 0.0), (1 / scale, 0.0, 0.0), (1.0, lift, 0.0), (1.0, -lift, 0.0)]
        for factor, up, angle in steps + [(1.0, 0.0, yaw), (1.0, 0.0, -yaw)] * free_yaw:
            candidate = replace(best, scale=best.scale * factor, lift=best.lift + up, yaw=best.yaw + angle)
            candidate_score = score(candidate)
            if candidate_score > value:
                best, value = candidate, candidate_score
    return replace(best, yaw=wrap_degrees(best.yaw))


def _score(iou: Tensor, colour: Tensor) -> Tensor:
    """Mean over the views, the last axis; a view without a common pixel counts as a colour difference of 1."""
    return (iou - colour.nan_to_num(1.0)).mean(-1)


@torch.no_grad()
def _render_cpu(render_fn: RenderFunction, cameras: Cameras, size: int) -> tuple[Tensor, Tensor]:
    image, opacity = render_fn(cameras, size)
    return image.float().cpu(), opacity.float().cpu()


def _grid_search(
    image: Tensor, opacity: Tensor, ground_truth: StaticScene, cameras: Cameras, free_yaw: bool
) -> Alignment:
    """Best alignment of the coarse grid; scale and lift transform the image, nearly the same as re-rendering."""
    n, best, value = len(cameras), Alignment(), -math.inf
    half = cameras.distance * (cameras.fov / 2).deg2rad().tan()  # half the image width at the origin, world units
    lift = cameras.elevation.deg2rad().cos() / half
    background = torch.tensor(ground_truth.background)[:, None, None]
    for yaw in [360.0 * k / _YAWS for k in range(_YAWS if free_yaw else 1)]:
        renders = ground_truth.transformed(yaw=yaw).render(cameras, _COARSE, 1)
        foreground = torch.cat([(renders.image - background) * renders.mask, renders.mask], 1)
        for scale in SCALES:
            theta = torch.zeros(len(LIFTS), n, 2, 3)
            theta[..., 0, 0] = theta[..., 1, 1] = 1 / scale
            theta[..., 1, 2] = torch.tensor(LIFTS)[:, None] * lift / scale
            points = nn.functional.affine_grid(theta.view(-1, 2, 3), [len(theta) * n, 4, _COARSE, _COARSE], False)
            moved = nn.functional.grid_sample(foreground.repeat(len(LIFTS), 1, 1, 1), points, align_corners=False)
            moved = moved.view(len(LIFTS), n, 4, _COARSE, _COARSE)
            mask = moved[:, :, 3:]
            scores = _score(*silhouette_overlap(image[None], opacity[None], moved[:, :, :3] + background, mask))
            if scores.max() > value:
                value = scores.max().item()
                best = Alignment(scale, LIFTS[int(scores.argmax())], yaw)
    return best
