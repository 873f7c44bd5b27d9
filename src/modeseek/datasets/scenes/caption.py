"""Grammar of scene captions: caption text to structured content and back.

A caption is one object, or two joined by a relation, optionally followed by a comma and a view phrase. An object is
"a" or "an", an optional size, a colour and the name of an object type: "a small red cube with a white face on an
orange mug, side view".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.view_phrases import VIEW_PHRASES, ViewPhrase
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS, SIZES


@dataclass(frozen=True)
class CaptionObject:
    """One object of a caption.

    Attributes:
        object_type: name of its type, a key of `OBJECT_TYPES`.
        colour: name of its colour, a key of `COLOURS`.
        size: key of `SIZES`, or None if the caption gives no size.
    """

    object_type: str
    colour: str
    size: str | None = None

    @property
    def phrase(self) -> str:
        """Noun phrase with its article: "an orange mug", "a small red cube with a white face"."""
        words = " ".join(word for word in (self.size, self.colour, self.object_type) if word)
        return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


@dataclass(frozen=True)
class ParsedCaption:
    """Structured content of a caption.

    Attributes:
        objects: the only object, or the two that the relation joins, in order.
        relation: one of `RELATIONS`, or None for a single object.
        view: view phrase, or None if the caption has none.
    """

    objects: tuple[CaptionObject, ...]
    relation: str | None = None
    view: ViewPhrase | None = None

    @property
    def caption(self) -> str:
        """Caption text of this content; `parse` is its inverse."""
        scene = f" {self.relation} ".join(item.phrase for item in self.objects)
        return scene if self.view is None else f"{scene}, {self.view.phrase}"


@cache
def _pattern() -> re.Pattern[str]:
    def one_of(words: list[str]) -> str:
        return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))

    def object_pattern(i: int) -> str:
        return (
            rf"(?P<article{i}>an?) (?:(?P<size{i}>{one_of(list(SIZES))}) )?"
            rf"(?P<colour{i}>{one_of(list(COLOURS))}) (?P<type{i}>{one_of(list(OBJECT_TYPES))})"
        )

    relation = f"(?P<relation>{one_of(list(RELATIONS))})"
    return re.compile(
        rf"{object_pattern(0)}(?: {relation} {object_pattern(1)})?(?:, (?P<view>{one_of(list(VIEW_PHRASES))}))?"
    )


def parse(caption: str) -> ParsedCaption:
    """Parses a caption.

    Raises:
        ValueError: the caption is outside the grammar of this module.
    """
    match = _pattern().fullmatch(caption)
    if match:
        slots = (0, 1) if match["relation"] else (0,)
        objects = tuple(CaptionObject(match[f"type{i}"], match[f"colour{i}"], match[f"size{i}"]) for i in slots)
        parsed = ParsedCaption(objects, match["relation"], VIEW_PHRASES[match["view"]] if match["view"] else None)
        if parsed.caption == caption:
            return parsed
    shown = caption if len(caption) <= 80 else caption[:77] + "..."
    raise ValueError(
        f"caption must be in the grammar of the scenes, got {shown!r}; try 'a red cone on a small blue cube, front "
        f"view' with objects {', '.join(OBJECT_TYPES)} and colours {', '.join(COLOURS)}"
    )


def are_captions(prompts: Sequence[str]) -> bool:
    """Whether every prompt is in the grammar of the rendered scenes."""
    try:
        for prompt in prompts:
            parse(prompt)
    except ValueError:
        return False
    return True
