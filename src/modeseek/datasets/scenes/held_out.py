"""Held-out combinations of object types, colours and relation: about one in twenty, chosen by a hash of their words."""

from __future__ import annotations

import zlib
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from modeseek.datasets.scenes.caption import ParsedCaption
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS

_ONE_IN = 20  # one combination in so many is held out


def is_held_out(caption: ParsedCaption) -> bool:
    """Whether a caption's object types and colours in its relation are held out from training.

    A stable hash (CRC-32) of the words decides; sizes and view do not matter. A single object is a combination of its
    own: "a red mug" may be held out while red mugs stand beside other objects in training, so every object type and
    every colour still occurs in training.
    """
    words = [f"{item.colour} {item.object_type}" for item in caption.objects]
    return _hashed("|".join([words[0], caption.relation or "alone", *words[1:]]))


def _hashed(words: str) -> bool:
    return zlib.crc32(words.encode()) % _ONE_IN == 0


class Combinations(NamedTuple):
    """Allowed combinations as indices: object = object_type * len(COLOURS) + colour.

    Attributes:
        alone: objects that may appear alone, (k,).
        pairs: for each of `RELATIONS`, allowed first and second objects, (m, 2).
    """

    alone: Int[Tensor, "k"]
    pairs: tuple[Int[Tensor, "m 2"], ...]


@cache
def combinations(held_out: bool | None) -> Combinations:
    """All combinations in the training set (False), held out from it (True), or both (None).

    Two objects differ in colour, and only an object type with a seat can be the second of "on".
    """
    names = [f"{colour} {name}" for name in OBJECT_TYPES for colour in COLOURS]
    has_seat = [object_type.seat is not None for object_type in OBJECT_TYPES.values() for _ in COLOURS]

    def allowed(mask: list[bool]) -> Bool[Tensor, "n"]:
        is_hashed_out = torch.tensor(mask)
        return torch.ones_like(is_hashed_out) if held_out is None else is_hashed_out == held_out

    alone = allowed([_hashed(f"{name}|alone") for name in names]).nonzero()[:, 0]
    n = len(names)
    colour = torch.arange(n) % len(COLOURS)
    pairs = []
    for relation in RELATIONS:
        pair_allowed = allowed([_hashed(f"{a}|{relation}|{b}") for a in names for b in names]).view(n, n)
        pair_allowed &= colour[:, None] != colour
        if relation == "on":
            pair_allowed &= torch.tensor(has_seat)
        pairs.append(pair_allowed.nonzero())
    return Combinations(alone, tuple(pairs))
