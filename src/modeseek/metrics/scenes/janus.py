"""Front faces of a generated object: one is right, two or more are a Janus object, zero is a missing front."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from modeseek.datasets.scenes.caption import ParsedCaption
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.objects_with_front import OBJECTS_WITH_FRONT
from modeseek.datasets.scenes.static_scene import StaticScene, turntable
from modeseek.datasets.scenes.view_phrases import AZIMUTHS
from modeseek.metrics.scenes.alignment import Alignment, RenderFunction
from modeseek.metrics.scenes.caption_accuracy import predict
from modeseek.metrics.scenes.classifier import SceneClassifier

_NAMES = frozenset(object_type.name for object_type in OBJECTS_WITH_FRONT)
_FRONT = 45.0  # half the azimuth range, degrees, in which a front face is visible, as in the phrase "front view"
_SHORTEST = 2  # minimum number of consecutive views of a front face; a single one is noise
_MARGIN = 1e-4  # margin of correlation by which a front view must match better than any other view
_BLURS = (0.06, 0.12)  # widths of the box blurs of the ground truth, as shares of the image side


@dataclass(frozen=True)
class FrontFaces:
    """Front faces in a ring of n views.

    Attributes:
        count: number of front faces.
        visible: views that show a front face.
    """

    count: int
    visible: Bool[Tensor, "n"]


def has_front_face(caption: ParsedCaption) -> bool:
    """Whether an object of the caption has a front face."""
    return any(item.object_type in _NAMES for item in caption.objects)


@torch.no_grad()
def count_front_faces(
    render_fn: RenderFunction,
    ground_truth: StaticScene,
    alignment: Alignment | None = None,
    *,
    n: int = 24,
    elevation: float = 15.0,
    size: int = 48,
) -> FrontFaces:
    """Counts front faces by correlation with the ground truth.

    Each of n views around the generated object is correlated with all n views of the ground truth (normalised, over all
    pixels and channels), sharp and with two blurs, since a soft face is nearer to a soft face than to none. A view
    shows a front face where a ground-truth view from within 45 degrees of its front matches best. Front faces are runs
    of such views, see `count_runs`; the ground truth itself has one.

    Args:
        render_fn: render function of the generated object, on the background of the ground truth.
        ground_truth: scene in which an object has a front face.
        alignment: scale and lift of the ground truth, from `align`; its yaw is unused.
        n: number of views, a multiple of 4, >= 8.
        elevation: camera elevation, degrees.
        size: side of the images, pixels.

    Raises:
        ValueError: no object with a front face in the ground truth, or an invalid number of views.
    """
    if not has_front_face(ground_truth.parsed):
        raise ValueError(
            f"ground truth must have a front face, got {ground_truth.caption!r}; try one of {', '.join(sorted(_NAMES))}"
        )
    if n < 8 or n % 4:
        raise ValueError(f"number of views must be 8, 12, 16 ..., got {n}; try 24, one every 15 degrees")
    aligned = ground_truth if alignment is None else ground_truth.transformed(alignment.scale, alignment.lift)
    ring = turntable(n, elevation)
    return match_front_faces(render_fn(ring, size)[0].float().cpu(), aligned.render(ring, size).image)


def match_front_faces(images: Float[Tensor, "n 3 s s"], true: Float[Tensor, "n 3 s s"]) -> FrontFaces:
    """Front faces of images evenly around, by correlation with those of the ground truth; both start at the front."""
    azimuth = 360 * torch.arange(len(true)) / len(true)
    facing = azimuth.minimum(360 - azimuth) <= _FRONT + 1e-3
    visible = _matches_front(images, true, facing)
    return FrontFaces(count_runs(visible, int(facing.sum())), visible)


@torch.no_grad()
def classify_front_faces(classifier: SceneClassifier, images: Float[Tensor, "n 3 h w"]) -> FrontFaces:
    """Front faces by the scene classifier, in views evenly around, in order; needs no ground truth.

    A view shows a front face where the classifier predicts an object type that has one, within 45 degrees of its front.
    """
    predictions = predict(classifier, images)
    has_front = torch.tensor([name in _NAMES for name in OBJECT_TYPES] + [False])[predictions.object_type].any(1)
    facing = torch.tensor([abs(a) <= _FRONT for a in AZIMUTHS])[predictions.azimuth]
    visible = has_front & facing
    return FrontFaces(count_runs(visible, round(len(images) * 2 * _FRONT / 360)), visible)


def count_runs(visible: Bool[Tensor, "n"], expected: int) -> int:
    """Counts front faces in a ring of views.

    Gaps of one view are closed and runs of one view dropped. A run counts as often as the width of one front face fits
    into it, at least once: a face visible from everywhere is not a single one.

    Args:
        visible: views that show a front face, in order around.
        expected: number of views of one front face.
    """
    n = len(visible)
    ring = visible | (visible.roll(1) & visible.roll(-1))
    if ring.all():
        return max(1, n // max(1, expected))
    if not ring.any():
        return 0
    ring = ring.roll(-int((~ring).nonzero()[0, 0]))  # starts with a view without a front face
    edges = ring.int().diff(append=torch.zeros(1, dtype=torch.int32))
    lengths = (edges == -1).nonzero()[:, 0] - (edges == 1).nonzero()[:, 0]
    return sum(max(1, length // max(1, expected)) for length in lengths.tolist() if length >= _SHORTEST)


def _matches_front(
    image: Float[Tensor, "n 3 s s"], true: Float[Tensor, "m 3 s s"], facing: Tensor
) -> Bool[Tensor, "n"]:
    """Whether a front view of the ground truth, sharp or blurred, matches each image better than its other views."""
    widths = (1, *(2 * round(share * image.shape[-1] / 2) + 1 for share in _BLURS))
    blurred = [nn.functional.avg_pool2d(true, k, 1, k // 2, count_include_pad=False) for k in widths]
    rows = _unit(image)
    correlation = torch.stack([rows @ _unit(views).T for views in blurred]).amax(0)
    return correlation[:, facing].amax(1) > correlation[:, ~facing].amax(1) + _MARGIN


def _unit(images: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n d"]:
    rows = images.flatten(1)
    centred = rows - rows.mean(1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-12)
