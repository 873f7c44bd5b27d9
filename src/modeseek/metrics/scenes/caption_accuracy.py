"""Does a picture show what its caption says? Attribute by attribute, by the judge's answers.

The rules:

- *object*: every thing is there and no other, in either order; things that look the same from where the caption says
  are the same (`viewpoint`).
- *colour*: each thing that the caption names wears its colour.
- *relation*, with two objects: the word is right, and so is the order; side by side there is none.
- *view*, where the caption says one that can be seen: by the rules of `viewpoint`.
- *all*: whatever of these the caption says.

Sizes are not judged. Which answer belongs to which object of the caption: the order in which more things agree, then
more colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.datasets.scenes.caption import ParsedCaption, parse
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.placement import BESIDE
from modeseek.datasets.scenes.view_phrases import AZIMUTHS
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS
from modeseek.metrics.bootstrap import Estimate, average
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.metrics.scenes.classifier_output import ClassifierOutput
from modeseek.metrics.scenes.view_rules import same_thing, seen_so, tells_view

ATTRIBUTES = ("object", "colour", "relation", "view", "all")
_CHUNK = 256  # pictures at a time
_NAMES = (*OBJECT_TYPES, None)


@dataclass(frozen=True)
class Predictions:
    """What the judge says of n pictures, as rows of the vocabularies.

    Attributes:
        thing: none is the last.
        colour: none is the last.
        relation: none is the last.
        azimuth: row of `AZIMUTHS`, the likeliest.
        elevation: degrees.
    """

    thing: Int[Tensor, "n 2"]
    colour: Int[Tensor, "n 2"]
    relation: Int[Tensor, "n"]
    azimuth: Int[Tensor, "n"]
    elevation: Float[Tensor, "n"]

    @classmethod
    def of(cls, answers: ClassifierOutput) -> Predictions:
        """The likeliest of each."""
        thing, colour, relation, azimuth = (
            logits.argmax(-1).cpu() for logits in (answers.thing, answers.colour, answers.relation, answers.azimuth)
        )
        return cls(thing, colour, relation, azimuth, answers.elevation.cpu())

    def words(self, row: int) -> str:
        """For people: "red cone on blue cube, -30, 15 up"."""
        things, colours = (*OBJECT_TYPES, ""), (*COLOURS, "")
        pairs = zip(self.colour[row].tolist(), self.thing[row].tolist(), strict=True)
        first, second = (f"{colours[colour]} {things[thing]}".strip() for colour, thing in pairs)
        relation = (*RELATIONS, "")[int(self.relation[row])]
        scene = " ".join(part for part in (first, relation, second) if part)
        return f"{scene}, {AZIMUTHS[int(self.azimuth[row])]}, {self.elevation[row].item():.0f} up"


@dataclass(frozen=True)
class CaptionAccuracy:
    """Whether n pictures show what their captions say, by attribute; true also where nothing is said.

    Attributes:
        object: of everything.
        colour: of everything.
        relation: of two objects.
        view: of a view that is said and can be seen.
        two: which captions have two objects.
        seen: which captions say a view that can be seen.
    """

    object: Bool[Tensor, "n"]
    colour: Bool[Tensor, "n"]
    relation: Bool[Tensor, "n"]
    view: Bool[Tensor, "n"]
    two: Bool[Tensor, "n"]
    seen: Bool[Tensor, "n"]

    @property
    def all(self) -> Bool[Tensor, "n"]:
        """Whatever the caption says."""
        return self.object & self.colour & self.relation & self.view

    def judged(self, attribute: str) -> Bool[Tensor, "n"]:
        """Which pictures that attribute of `ATTRIBUTES` is judged in."""
        return {"relation": self.two, "view": self.seen}.get(attribute, torch.ones_like(self.two))

    def wrong(self, row: int) -> list[str]:
        """Attributes that a picture has wrong."""
        return [name for name in ATTRIBUTES[:-1] if not getattr(self, name)[row]]


@torch.no_grad()
def look(judge: SceneClassifier, images: Float[Tensor, "n 3 h w"]) -> Predictions:
    """What the judge says of pictures in [0, 1], some at a time, on its own device."""
    device = next(judge.parameters()).device
    parts = [Predictions.of(judge(part.to(device))) for part in images.split(_CHUNK)]
    return Predictions(
        *(torch.cat([getattr(part, name) for part in parts]) for name in Predictions.__dataclass_fields__)
    )


def score(judge: SceneClassifier, images: Float[Tensor, "n 3 h w"], captions: Sequence[str]) -> CaptionAccuracy:
    """Shows the pictures to the judge and compares what it says with their captions.

    Raises:
        ValueError: a caption outside the grammar of the scenes, or another number of pictures than captions.
    """
    if len(images) != len(captions):
        raise ValueError(f"each picture has one caption: got {len(images)} and {len(captions)}; give as many")
    said = [parse(caption) for caption in captions]
    return compare(look(judge, images), said)


def compare(verdicts: Predictions, said: Sequence[ParsedCaption]) -> CaptionAccuracy:
    """What the judge said beside what the captions say, by the rules above."""
    rows = [_row(verdicts, i, one) for i, one in enumerate(said)]
    objects, colours, relations, views = torch.tensor(rows, dtype=torch.bool).reshape(-1, 4).unbind(-1)
    two = torch.tensor([len(one.objects) == 2 for one in said], dtype=torch.bool)
    seen = torch.tensor([tells_view(one) for one in said], dtype=torch.bool)
    return CaptionAccuracy(objects, colours, relations, views, two, seen)


def accuracy(scores: CaptionAccuracy, groups: Int[Tensor, "n"] | None = None, seed: int = 0) -> dict[str, Estimate]:
    """The share that is right of each attribute, where it is judged at all, with its bootstrap interval over captions.

    Args:
        scores: of pictures.
        groups: which caption each belongs to, where one has several.
        seed: of the resampling.
    """
    told = {}
    for name in ATTRIBUTES:
        rows = scores.judged(name).nonzero()[:, 0]
        if len(rows):
            share = average(getattr(scores, name)[rows].double(), None if groups is None else groups[rows], seed)
            edges = share.interval and (max(0.0, share.interval[0]), min(1.0, share.interval[1]))
            told[name] = Estimate(share.value, edges)
    return told


def matched(verdicts: Predictions, row: int, said: ParsedCaption) -> tuple[list[tuple[int, int]], bool]:
    """What was seen of each of the caption's objects, (thing, colour), and whether that is in the other order."""
    found = list(zip(verdicts.thing[row].tolist(), verdicts.colour[row].tolist(), strict=True))
    azimuth = int(verdicts.azimuth[row])

    def agreeing(pairs: Sequence[tuple[int, int]]) -> tuple[int, int]:
        return sum(named(said, azimuth, pairs)), sum(_painted(said, pairs))

    if len(said.objects) == 1:
        return [max(found, key=lambda one: agreeing([one]))], False
    return (found[::-1], True) if agreeing(found[::-1]) > agreeing(found) else (found, False)


def named(said: ParsedCaption, azimuth: int, found: Sequence[tuple[int, int]]) -> list[bool]:
    """Of each of the caption's objects, whether that thing was seen, or what looks the same from there."""
    names = [_NAMES[thing] for thing, _ in found]
    return [
        seen is not None and same_thing(one.thing, seen, azimuth, said.view)
        for one, seen in zip(said.objects, names, strict=True)
    ]


def _painted(said: ParsedCaption, found: Sequence[tuple[int, int]]) -> list[bool]:
    """Of each of the caption's objects, whether its colour was seen there."""
    colours = list(COLOURS)
    return [colours.index(one.colour) == colour for one, (_, colour) in zip(said.objects, found, strict=True)]


def _row(verdicts: Predictions, i: int, said: ParsedCaption) -> tuple[bool, bool, bool, bool]:
    azimuth, (found, turned) = int(verdicts.azimuth[i]), matched(verdicts, i, said)
    right = named(said, azimuth, found)
    alone = len(found) == 2 or _NAMES[int(verdicts.thing[i, 1])] is None
    relation = view = True
    if said.relation is not None:
        asked = RELATIONS.index(said.relation)
        relation = int(verdicts.relation[i]) == asked and (asked == BESIDE or not turned)
    if said.view is not None and tells_view(said):
        seen = [_NAMES[thing] if good else None for (thing, _), good in zip(found, right, strict=True)]
        pairs = [(one.thing, thing or one.thing) for one, thing in zip(said.objects, seen, strict=True)]
        view = seen_so(azimuth, verdicts.elevation[i].item(), said.view, pairs)
    return all(right) and alone, all(_painted(said, found)), relation, view
