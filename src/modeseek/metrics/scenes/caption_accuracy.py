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
from modeseek.metrics.bootstrap import Estimate, mean_with_interval
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.metrics.scenes.classifier_output import ClassifierOutput
from modeseek.metrics.scenes.view_rules import same_object_type, view_matches, has_visible_view

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

    object_type: Int[Tensor, "n 2"]
    colour: Int[Tensor, "n 2"]
    relation: Int[Tensor, "n"]
    azimuth: Int[Tensor, "n"]
    elevation: Float[Tensor, "n"]

    @classmethod
    def from_output(cls, output: ClassifierOutput) -> Predictions:
        """The likeliest of each."""
        thing, colour, relation, azimuth = (
            logits.argmax(-1).cpu() for logits in (output.object_type, output.colour, output.relation, output.azimuth)
        )
        return cls(thing, colour, relation, azimuth, output.elevation.cpu())

    def describe(self, row: int) -> str:
        """For people: "red cone on blue cube, -30, 15 up"."""
        things, colours = (*OBJECT_TYPES, ""), (*COLOURS, "")
        pairs = zip(self.colour[row].tolist(), self.object_type[row].tolist(), strict=True)
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
    two_objects: Bool[Tensor, "n"]
    view_visible: Bool[Tensor, "n"]

    @property
    def all(self) -> Bool[Tensor, "n"]:
        """Whatever the caption says."""
        return self.object & self.colour & self.relation & self.view

    def applicable(self, attribute: str) -> Bool[Tensor, "n"]:
        """Which pictures that attribute of `ATTRIBUTES` is judged in."""
        return {"relation": self.two_objects, "view": self.view_visible}.get(attribute, torch.ones_like(self.two_objects))

    def wrong_attributes(self, row: int) -> list[str]:
        """Attributes that a picture has wrong."""
        return [name for name in ATTRIBUTES[:-1] if not getattr(self, name)[row]]


@torch.no_grad()
def predict(classifier: SceneClassifier, images: Float[Tensor, "n 3 h w"]) -> Predictions:
    """What the judge says of pictures in [0, 1], some at a time, on its own device."""
    device = next(classifier.parameters()).device
    parts = [Predictions.from_output(classifier(part.to(device))) for part in images.split(_CHUNK)]
    return Predictions(
        *(torch.cat([getattr(part, name) for part in parts]) for name in Predictions.__dataclass_fields__)
    )


def score_captions(classifier: SceneClassifier, images: Float[Tensor, "n 3 h w"], captions: Sequence[str]) -> CaptionAccuracy:
    """Shows the pictures to the judge and compares what it says with their captions.

    Raises:
        ValueError: a caption outside the grammar of the scenes, or another number of pictures than captions.
    """
    if len(images) != len(captions):
        raise ValueError(f"each picture has one caption: got {len(images)} and {len(captions)}; give as many")
    said = [parse(caption) for caption in captions]
    return compare_predictions(predict(classifier, images), said)


def compare_predictions(predictions: Predictions, captions: Sequence[ParsedCaption]) -> CaptionAccuracy:
    """What the judge said beside what the captions say, by the rules above."""
    rows = [_compare_row(predictions, i, one) for i, one in enumerate(captions)]
    objects, colours, relations, views = torch.tensor(rows, dtype=torch.bool).reshape(-1, 4).unbind(-1)
    two = torch.tensor([len(one.objects) == 2 for one in captions], dtype=torch.bool)
    seen = torch.tensor([has_visible_view(one) for one in captions], dtype=torch.bool)
    return CaptionAccuracy(objects, colours, relations, views, two, seen)


def accuracy_by_attribute(scores: CaptionAccuracy, groups: Int[Tensor, "n"] | None = None, seed: int = 0) -> dict[str, Estimate]:
    """The share that is right of each attribute, where it is judged at all, with its bootstrap interval over captions.

    Args:
        scores: of pictures.
        groups: which caption each belongs to, where one has several.
        seed: of the resampling.
    """
    told = {}
    for name in ATTRIBUTES:
        rows = scores.applicable(name).nonzero()[:, 0]
        if len(rows):
            share = mean_with_interval(getattr(scores, name)[rows].double(), None if groups is None else groups[rows], seed)
            edges = share.interval and (max(0.0, share.interval[0]), min(1.0, share.interval[1]))
            told[name] = Estimate(share.value, edges)
    return told


def match_objects(predictions: Predictions, row: int, caption: ParsedCaption) -> tuple[list[tuple[int, int]], bool]:
    """What was seen of each of the caption's objects, (thing, colour), and whether that is in the other order."""
    found = list(zip(predictions.object_type[row].tolist(), predictions.colour[row].tolist(), strict=True))
    azimuth = int(predictions.azimuth[row])

    def agreeing(pairs: Sequence[tuple[int, int]]) -> tuple[int, int]:
        return sum(object_type_matches(caption, azimuth, pairs)), sum(_colour_matches(caption, pairs))

    if len(caption.objects) == 1:
        return [max(found, key=lambda one: agreeing([one]))], False
    return (found[::-1], True) if agreeing(found[::-1]) > agreeing(found) else (found, False)


def object_type_matches(caption: ParsedCaption, azimuth: int, found: Sequence[tuple[int, int]]) -> list[bool]:
    """Of each of the caption's objects, whether that thing was seen, or what looks the same from there."""
    names = [_NAMES[thing] for thing, _ in found]
    return [
        seen is not None and same_object_type(one.object_type, seen, azimuth, caption.view)
        for one, seen in zip(caption.objects, names, strict=True)
    ]


def _colour_matches(caption: ParsedCaption, found: Sequence[tuple[int, int]]) -> list[bool]:
    """Of each of the caption's objects, whether its colour was seen there."""
    colours = list(COLOURS)
    return [colours.index(one.colour) == colour for one, (_, colour) in zip(caption.objects, found, strict=True)]


def _compare_row(predictions: Predictions, i: int, caption: ParsedCaption) -> tuple[bool, bool, bool, bool]:
    azimuth, (found, turned) = int(predictions.azimuth[i]), match_objects(predictions, i, caption)
    right = object_type_matches(caption, azimuth, found)
    alone = len(found) == 2 or _NAMES[int(predictions.object_type[i, 1])] is None
    relation = view = True
    if caption.relation is not None:
        asked = RELATIONS.index(caption.relation)
        relation = int(predictions.relation[i]) == asked and (asked == BESIDE or not turned)
    if caption.view is not None and has_visible_view(caption):
        seen = [_NAMES[thing] if good else None for (thing, _), good in zip(found, right, strict=True)]
        pairs = [(one.object_type, thing or one.object_type) for one, thing in zip(caption.objects, seen, strict=True)]
        view = view_matches(azimuth, predictions.elevation[i].item(), caption.view, pairs)
    return all(right) and alone, all(_colour_matches(caption, found)), relation, view
