"""Classification targets of captions, on which the text encoder is trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from modeseek.datasets.scenes.caption import CaptionObject, ParsedCaption, parse
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.view_phrases import AZIMUTHS, COARSE_PHRASES, HEIGHTS
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS, SIZES

_OBJECT = (list(OBJECT_TYPES), list(COLOURS), list(SIZES))
_VIEW = ([*COARSE_PHRASES, *AZIMUTHS], list(HEIGHTS))
# Number of classes of each target, "absent" included: type, colour and size of both objects, relation, view, height.
TARGET_SIZES: tuple[int, ...] = tuple(1 + len(labels) for labels in (*_OBJECT, *_OBJECT, RELATIONS, *_VIEW))


def caption_targets(captions: Sequence[str]) -> Int[Tensor, "n targets"]:
    """Class of each target, 0 where it is absent from the caption.

    Raises:
        ValueError: a caption outside the grammar.
    """
    return torch.tensor([_classes(parse(caption)) for caption in captions])


def _classes(parsed: ParsedCaption) -> list[int]:
    first, second = (*parsed.objects, None)[:2]
    relation = 0 if parsed.relation is None else 1 + RELATIONS.index(parsed.relation)
    return [*_object_classes(first), *_object_classes(second), relation, *_view_classes(parsed)]


def _object_classes(item: CaptionObject | None) -> list[int]:
    words = (None,) * 3 if item is None else (item.object_type, item.colour, item.size)
    return [0 if word is None else 1 + labels.index(word) for word, labels in zip(words, _OBJECT, strict=True)]


def _view_classes(parsed: ParsedCaption) -> list[int]:
    if parsed.view is None:
        return [0, 0]
    if parsed.view.name is not None:
        return [1 + _VIEW[0].index(parsed.view.name), 0]
    assert parsed.view.azimuth is not None and parsed.view.height is not None
    return [1 + _VIEW[0].index(parsed.view.azimuth), 1 + _VIEW[1].index(parsed.view.height)]
