"""Which size, height and turn of the truth a found object is compared with: what words leave open is no mistake."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.datasets.scenes.static_scene import StaticScene
from modeseek.generators.base import Generator, render
from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.rendering3d import Rendering3D

RenderFunction = Callable[[Cameras, int], tuple[Tensor, Tensor]]
"""What a found object looks like from cameras at a size: images (n, 3, s, s) in [0, 1], opacity (n, 1, s, s)."""

SCALES = (0.7, 0.84, 1.0, 1.2, 1.43)
LIFTS = (-0.2, -0.1, 0.0, 0.1, 0.2)
_COARSE, _SEARCH = 24, 40  # sides in pixels of the coarse grid's pictures and of the refinement's
SAMPLES = 3  # rays across an edge pixel of the truth: of an odd number none is exactly half covered
_TURNS = 24
_ROUNDS = 5  # of refinement, each with half the steps of the one before


@dataclass(frozen=True)
class Alignment:
    """How the truth is moved before it is compared, as in `Still.moved`.

    Attributes:
        scale: factor of its size.
        up: then lifted by so much, world units.
        turn: degrees about the vertical, against the clock from above.
    """

    scale: float = 1.0
    lift: float = 0.0
    yaw: float = 0.0

    def __call__(self, scene: StaticScene) -> StaticScene:
        """The truth, moved."""
        return scene.transformed(self.scale, self.lift, self.yaw)


def render_function(generator: Generator) -> RenderFunction:
    """What a 3-D generator shows, asked with a `CameraView` of those cameras.

    The look raises a ValueError where it renders no `Solid`, which alone has an opacity.
    """

    def look(cameras: Cameras, size: int) -> tuple[Tensor, Tensor]:
        seen = render(generator, CameraView(tuple(range(len(cameras))), cameras, size))
        if not isinstance(seen, Rendering3D):
            raise ValueError(f"an object has an opacity: got a {type(seen).__name__}; use a 3-D generator")
        return seen.image, seen.opacity

    return look


def silhouette_overlap(
    image: Float[Tensor, "*#b 3 s s"],
    opacity: Float[Tensor, "*#b 1 s s"],
    true: Float[Tensor, "*#b 3 s s"],
    mask: Float[Tensor, "*#b 1 s s"],
) -> tuple[Float[Tensor, "*c"], Float[Tensor, "*c"]]:
    """IoU of the silhouettes (above one half), and the mean absolute colour difference where both are.

    The difference is NaN without a common pixel; an IoU of nothing with nothing is 0.
    """
    found, there = opacity > 0.5, mask > 0.5
    both, either = (found & there).sum((-3, -2, -1)), (found | there).sum((-3, -2, -1))
    apart = ((image - true).abs().mean(-3, keepdim=True) * (found & there)).sum((-3, -2, -1))
    return both / either.clamp(min=1), torch.where(both > 0, apart / both, math.nan)


def align(render_fn: RenderFunction, ground_truth: StaticScene, cameras: Cameras, free_yaw: bool) -> Alignment:
    """The move of the truth that the found object matches best.

    Maximises mean IoU minus mean colour difference over the cameras: first on a grid of sizes (factors 0.7 to 1.43)
    and lifts (-0.2 to 0.2, as movements of the picture), with `turns` every 15 degrees too; then by re-rendering,
    one coordinate at a time in halving steps. Never worse than leaving the truth where it is.

    Args:
        look: the found object.
        still: the truth.
        cameras: that look at both.
        turns: whether the azimuth is open: no view was told, so the front may look anywhere.
    """
    image, opacity = _render_cpu(render_fn, cameras, _COARSE)
    begun = _grid_search(image, opacity, ground_truth, cameras, free_yaw)
    image, opacity = _render_cpu(render_fn, cameras, _SEARCH)

    def score(one: Alignment) -> float:
        shots = one(ground_truth).render(cameras, _SEARCH, SAMPLES)
        return _score(*silhouette_overlap(image, opacity, shots.image, shots.mask)).item()

    best = max((Alignment(), begun), key=score)
    value = score(best)
    for k in range(_ROUNDS):
        scale, lift, turn = 1.1 ** (0.5**k), 0.05 * 0.5**k, 7.5 * 0.5**k
        steps = [(scale, 0.0, 0.0), (1 / scale, 0.0, 0.0), (1.0, lift, 0.0), (1.0, -lift, 0.0)]
        for by, up, about in steps + [(1.0, 0.0, turn), (1.0, 0.0, -turn)] * free_yaw:
            other = replace(best, scale=best.scale * by, lift=best.lift + up, yaw=best.yaw + about)
            found = score(other)
            if found > value:
                best, value = other, found
    return replace(best, yaw=(best.yaw + 180) % 360 - 180)


def _score(iou: Tensor, colour: Tensor) -> Tensor:
    """Over the last axis, the views; a view without a common pixel counts as wholly wrong."""
    return (iou - colour.nan_to_num(1.0)).mean(-1)


@torch.no_grad()
def _render_cpu(render_fn: RenderFunction, cameras: Cameras, size: int) -> tuple[Tensor, Tensor]:
    image, opacity = render_fn(cameras, size)
    return image.float().cpu(), opacity.float().cpu()


def _grid_search(image: Tensor, opacity: Tensor, ground_truth: StaticScene, cameras: Cameras, free_yaw: bool) -> Alignment:
    """The best of the coarse grid; sizes and lifts move the picture of the truth, which is nearly the same."""
    n, best, value = len(cameras), Alignment(), -math.inf
    half = cameras.distance * (cameras.fov / 2).deg2rad().tan()  # of the picture's width at the origin
    lift = cameras.elevation.deg2rad().cos() / half
    background = torch.tensor(ground_truth.background)[:, None, None]
    for turn in [360.0 * k / _TURNS for k in range(_TURNS if free_yaw else 1)]:
        shots = ground_truth.transformed(yaw=turn).render(cameras, _COARSE, 1)
        seen = torch.cat([(shots.image - background) * shots.mask, shots.mask], 1)
        for scale in SCALES:
            theta = torch.zeros(len(LIFTS), n, 2, 3)
            theta[..., 0, 0] = theta[..., 1, 1] = 1 / scale
            theta[..., 1, 2] = torch.tensor(LIFTS)[:, None] * lift / scale
            places = nn.functional.affine_grid(theta.view(-1, 2, 3), [len(theta) * n, 4, _COARSE, _COARSE], False)
            moved = nn.functional.grid_sample(seen.repeat(len(LIFTS), 1, 1, 1), places, align_corners=False)
            moved = moved.view(len(LIFTS), n, 4, _COARSE, _COARSE)
            mask = moved[:, :, 3:]
            scores = _score(*silhouette_overlap(image[None], opacity[None], moved[:, :, :3] + background, mask))
            if scores.max() > value:
                value = scores.max().item()
                best = Alignment(scale, LIFTS[int(scores.argmax())], turn)
    return best
