"""Captions: from what is so to words, and back.

A caption is an object, or two joined by a relation, then perhaps a comma and a view. An object is "a" or "an", perhaps
a size, a colour, and the thing's whole name: "a small red cube with a white face on an orange mug, side view".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.view_phrases import VIEW_PHRASES, ViewPhrase
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS, SIZES


@dataclass(frozen=True)
class CaptionObject:
    """One thing as a caption names it; size None: not said."""

    object_type: str
    colour: str
    size: str | None = None

    @property
    def phrase(self) -> str:
        """With its article: "an orange mug", "a small red cube with a white face"."""
        words = " ".join(word for word in (self.size, self.colour, self.object_type) if word)
        return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


@dataclass(frozen=True)
class ParsedCaption:
    """All that a caption says.

    Attributes:
        objects: one, or the two that the relation joins, in order.
        relation: one of `RELATIONS`, or None with one object.
        view: None if the caption does not say it.
    """

    objects: tuple[CaptionObject, ...]
    relation: str | None = None
    view: ViewPhrase | None = None

    @property
    def caption(self) -> str:
        """The caption that says it; `parse` inverts it."""
        scene = f" {self.relation} ".join(thing.phrase for thing in self.objects)
        return scene if self.view is None else f"{scene}, {self.view.phrase}"


@cache
def _pattern() -> re.Pattern[str]:
    def one_of(words: list[str]) -> str:
        return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))

    def thing(i: int) -> str:
        return (
            rf"(?P<article{i}>an?) (?:(?P<size{i}>{one_of(list(SIZES))}) )?"
            rf"(?P<colour{i}>{one_of(list(COLOURS))}) (?P<thing{i}>{one_of(list(OBJECT_TYPES))})"
        )

    relation = f"(?P<relation>{one_of(list(RELATIONS))})"
    return re.compile(rf"{thing(0)}(?: {relation} {thing(1)})?(?:, (?P<view>{one_of(list(VIEW_PHRASES))}))?")


def parse(caption: str) -> ParsedCaption:
    """What a caption says.

    Raises:
        ValueError: it is outside the grammar above.
    """
    found = _pattern().fullmatch(caption)
    if found:
        slots = (0, 1) if found["relation"] else (0,)
        objects = tuple(CaptionObject(found[f"thing{i}"], found[f"colour{i}"], found[f"size{i}"]) for i in slots)
        said = ParsedCaption(objects, found["relation"], VIEW_PHRASES[found["view"]] if found["view"] else None)
        if said.caption == caption:
            return said
    shown = caption if len(caption) <= 80 else caption[:77] + "..."
    raise ValueError(
        f"no caption of these scenes: {shown!r}; say it as 'a red cone on a small blue cube, front view' "
        f"with things {', '.join(OBJECT_TYPES)} and colours {', '.join(COLOURS)}"
    )
