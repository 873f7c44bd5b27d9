"""What captions say, as numbers: the questions that the text encoder is taught to answer first."""

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
# Answers to each question, "not said" included: thing, colour and size of both objects, relation, view, height.
TARGET_SIZES: tuple[int, ...] = tuple(1 + len(words) for words in (*_OBJECT, *_OBJECT, RELATIONS, *_VIEW))


def caption_targets(captions: Sequence[str]) -> Int[Tensor, "n questions"]:
    """The row of each answer, 0 where the caption does not say it.

    Raises:
        ValueError: a caption outside the grammar.
    """
    return torch.tensor([_numbers(parse(caption)) for caption in captions])


def _numbers(told: ParsedCaption) -> list[int]:
    first, second = (*told.objects, None)[:2]
    relation = 0 if told.relation is None else 1 + RELATIONS.index(told.relation)
    return [*_object(first), *_object(second), relation, *_view(told)]


def _object(told: CaptionObject | None) -> list[int]:
    words = (None,) * 3 if told is None else (told.object_type, told.colour, told.size)
    return [0 if word is None else 1 + known.index(word) for word, known in zip(words, _OBJECT, strict=True)]


def _view(told: ParsedCaption) -> list[int]:
    if told.view is None:
        return [0, 0]
    if told.view.name is not None:
        return [1 + _VIEW[0].index(told.view.name), 0]
    assert told.view.azimuth is not None and told.view.height is not None
    return [1 + _VIEW[0].index(told.view.azimuth), 1 + _VIEW[1].index(told.view.height)]
