"""Which combinations training never sees: about one in twenty, by a hash of their words."""

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

_ONE_IN = 20


def is_held_out(caption: ParsedCaption) -> bool:
    """Whether these things and colours in this relation are kept from training, whatever the sizes and the view.

    A stable hash (CRC-32) of the words decides. One object alone is a combination of its own: "a red mug" may be
    held out while red mugs stand beside other things in training, so every thing and every colour is still learnt.
    """
    words = [f"{thing.colour} {thing.object_type}" for thing in caption.objects]
    return _hashed("|".join([words[0], caption.relation or "alone", *words[1:]]))


def _hashed(words: str) -> bool:
    return zlib.crc32(words.encode()) % _ONE_IN == 0


class Combinations(NamedTuple):
    """What may be drawn, as indices: object = thing * len(COLOURS) + colour.

    Attributes:
        alone: (k,) objects.
        pairs: for each relation, (m, 2) objects first and second.
    """

    alone: Int[Tensor, "k"]
    pairs: tuple[Int[Tensor, "m 2"], ...]


@cache
def combinations(held_out: bool | None) -> Combinations:
    """All combinations that training may see (False), may not see (True), or both (None).

    Two objects differ in colour, and only what has a seat carries something.
    """
    names = [f"{colour} {thing}" for thing in OBJECT_TYPES for colour in COLOURS]
    seats = [thing.seat is not None for thing in OBJECT_TYPES.values() for _ in COLOURS]

    def kept(mask: list[bool]) -> Bool[Tensor, "n"]:
        told = torch.tensor(mask)
        return torch.ones_like(told) if held_out is None else told == held_out

    alone = kept([_hashed(f"{name}|alone") for name in names]).nonzero()[:, 0]
    n = len(names)
    colour = torch.arange(n) % len(COLOURS)
    pairs = []
    for relation in RELATIONS:
        may = kept([_hashed(f"{a}|{relation}|{b}") for a in names for b in names]).view(n, n)
        may &= colour[:, None] != colour
        if relation == "on":
            may &= torch.tensor(seats)
        pairs.append(may.nonzero())
    return Combinations(alone, tuple(pairs))
