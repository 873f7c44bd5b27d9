"""How many fronts an object has: one is right, two are Janus, none is a front that was never found."""

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
from modeseek.metrics.scenes.caption_accuracy import predict as judged
from modeseek.metrics.scenes.classifier import SceneClassifier

_NAMES = frozenset(thing.name for thing in OBJECTS_WITH_FRONT)
_FRONT = 45.0  # degrees to either side from which a front is said to be seen, as by the phrase "front view"
_SHORTEST = 2  # views in a row that make a front; one alone is noise
_CLEARER = 1e-4  # of a correlation, by which a front must fit better than any other view
_BLURS = (0.06, 0.12)  # sides of the squares, as shares of the picture's, over which the truth is averaged too


@dataclass(frozen=True)
class FrontFaces:
    """What a ring of n views shows.

    Attributes:
        count: fronts.
        shows: which views show one.
    """

    count: int
    visible: Bool[Tensor, "n"]


def has_front_face(caption: ParsedCaption) -> bool:
    """Whether one of its things has a front."""
    return any(one.object_type in _NAMES for one in caption.objects)


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
    """Fronts by comparison with the truth.

    Each of n views around the found object is correlated with all n views of the truth (normalised, over all pixels
    and channels), as they are and blurred twice: a soft face is nearer to a soft face than to none. It shows a front
    where a view of the truth from within 45 degrees of its front fits best. Fronts are runs of such views, see `runs`;
    the true object itself has one.

    Args:
        look: the found object, on the background of the truth.
        still: the truth; something in it has a front.
        alignment: its size and height, from `fit`; the turn does not matter.
        n: views around, a multiple of 4.
        elevation: of them, degrees.
        size: of the pictures.

    Raises:
        ValueError: nothing in the truth has a front, or too few views.
    """
    if not has_front_face(ground_truth.parsed):
        raise ValueError(f"nothing in {ground_truth.caption!r} has a front: count those of {', '.join(sorted(_NAMES))}")
    if n < 8 or n % 4:
        raise ValueError(f"fronts are counted in 8, 12, 16 ... views around: got {n}; 24 is every 15 degrees")
    moved = ground_truth if alignment is None else ground_truth.transformed(alignment.scale, alignment.lift)
    ring = turntable(n, elevation)
    return match_front_faces(render_fn(ring, size)[0].float().cpu(), moved.render(ring, size).image)


def match_front_faces(images: Float[Tensor, "n 3 s s"], true: Float[Tensor, "n 3 s s"]) -> FrontFaces:
    """What `count_fronts` says of pictures evenly around beside the truth's, both in order, the front first."""
    azimuth = 360 * torch.arange(len(true)) / len(true)
    facing = azimuth.minimum(360 - azimuth) <= _FRONT + 1e-3
    shows = _fits(images, true, facing)
    return FrontFaces(count_runs(shows, int(facing.sum())), shows)


@torch.no_grad()
def classify_front_faces(classifier: SceneClassifier, images: Float[Tensor, "n 3 h w"]) -> FrontFaces:
    """Fronts as the judge of scenes sees them in views evenly around, in order.

    A view shows a front where the judge names a thing that has one, seen from within 45 degrees of it. A second
    opinion that knows no truth.
    """
    verdicts = judged(classifier, images)
    fronted = torch.tensor([name in _NAMES for name in OBJECT_TYPES] + [False])[verdicts.object_type].any(1)
    facing = torch.tensor([abs(a) <= _FRONT for a in AZIMUTHS])[verdicts.azimuth]
    shows = fronted & facing
    return FrontFaces(count_runs(shows, round(len(images) * 2 * _FRONT / 360)), shows)


def count_runs(visible: Bool[Tensor, "n"], expected: int) -> int:
    """How many fronts a ring of views shows.

    Gaps of one view are closed and runs of one view dropped. A run counts once, and once more each time that the width
    of one front fits in again: a face that is seen from everywhere is no single one.

    Args:
        shows: which views show a front, in order around.
        expected: views that one front takes.
    """
    n = len(visible)
    ring = visible | (visible.roll(1) & visible.roll(-1))
    if ring.all():
        return max(1, n // max(1, expected))
    if not ring.any():
        return 0
    ring = ring.roll(-int((~ring).nonzero()[0, 0]))  # begins with a view that shows none
    edges = ring.int().diff(append=torch.zeros(1, dtype=torch.int32))
    lengths = (edges == -1).nonzero()[:, 0] - (edges == 1).nonzero()[:, 0]
    return sum(max(1, length // max(1, expected)) for length in lengths.tolist() if length >= _SHORTEST)


def _fits(image: Float[Tensor, "n 3 s s"], true: Float[Tensor, "m 3 s s"], facing: Tensor) -> Bool[Tensor, "n"]:
    """Whether a front of the truth, sharp or blurred, fits each picture better than any other of its views."""
    wide = (1, *(2 * round(share * image.shape[-1] / 2) + 1 for share in _BLURS))
    blurred = [nn.functional.avg_pool2d(true, k, 1, k // 2, count_include_pad=False) for k in wide]
    found = _unit(image)
    like = torch.stack([found @ _unit(one).T for one in blurred]).amax(0)
    return like[:, facing].amax(1) > like[:, ~facing].amax(1) + _CLEARER


def _unit(images: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n d"]:
    rows = images.flatten(1)
    centred = rows - rows.mean(1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-12)
