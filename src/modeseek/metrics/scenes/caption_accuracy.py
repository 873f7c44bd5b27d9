"""Caption accuracy of images by attribute, from the predictions of the scene classifier.

Criteria:

- *object*: the predicted object types are exactly those of the caption, in either order; types that look the same from
  the caption's view are equal (`view_rules`).
- *colour*: each object of the caption has its colour.
- *relation*, for two objects: relation and order are right; "beside" has no order.
- *view*, for captions with a distinguishable view: by the criteria of `view_rules`.
- *all*: all of these that apply.

Sizes are not scored. Predicted slots are matched to the caption's objects in the order in which more object types
agree, then more colours.
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
from modeseek.metrics.scenes.view_rules import has_visible_view, same_object_type, view_matches

_CHUNK = 256  # images per batch
_NAMES = (*OBJECT_TYPES, None)


@dataclass(frozen=True)
class Predictions:
    """Classifier predictions for n images, as vocabulary indices.

    Attributes:
        object_type: index into `OBJECT_TYPES`, the last for none.
        colour: index into `COLOURS`, the last for none.
        relation: index into `RELATIONS`, the last for none.
        azimuth: most likely index into `AZIMUTHS`.
        elevation: camera elevation, degrees.
    """

    object_type: Int[Tensor, "n 2"]
    colour: Int[Tensor, "n 2"]
    relation: Int[Tensor, "n"]
    azimuth: Int[Tensor, "n"]
    elevation: Float[Tensor, "n"]

    @classmethod
    def from_output(cls, output: ClassifierOutput) -> Predictions:
        """Most likely class of each attribute."""
        object_type, colour, relation, azimuth = (
            logits.argmax(-1).cpu() for logits in (output.object_type, output.colour, output.relation, output.azimuth)
        )
        return cls(object_type, colour, relation, azimuth, output.elevation.cpu())

    def describe(self, row: int) -> str:
        """Text of a prediction: "red cone on blue cube, -30, 15 up"."""
        object_types, colours = (*OBJECT_TYPES, ""), (*COLOURS, "")
        pairs = zip(self.colour[row].tolist(), self.object_type[row].tolist(), strict=True)
        first, second = (f"{colours[colour]} {object_types[object_type]}".strip() for colour, object_type in pairs)
        relation = (*RELATIONS, "")[int(self.relation[row])]
        scene = " ".join(part for part in (first, relation, second) if part)
        return f"{scene}, {AZIMUTHS[int(self.azimuth[row])]}, {self.elevation[row].item():.0f} up"


@dataclass(frozen=True)
class CaptionAccuracy:
    """Correctness of n images against their captions by attribute; True where an attribute does not apply.

    Attributes:
        object: whether the object types are right.
        colour: whether the colours are right.
        relation: whether the relation of two objects is right.
        view: whether the view is right, for captions with a distinguishable view.
        two_objects: captions with two objects.
        view_visible: captions with a distinguishable view.
    """

    object: Bool[Tensor, "n"]
    colour: Bool[Tensor, "n"]
    relation: Bool[Tensor, "n"]
    view: Bool[Tensor, "n"]
    two_objects: Bool[Tensor, "n"]
    view_visible: Bool[Tensor, "n"]

    @property
    def by_attribute(self) -> dict[str, Bool[Tensor, "n"]]:
        """Correctness by attribute; "all": whether all attributes are right."""
        rights = {"object": self.object, "colour": self.colour, "relation": self.relation, "view": self.view}
        return rights | {"all": self.object & self.colour & self.relation & self.view}

    def select(self, rows: Tensor) -> CaptionAccuracy:
        """Accuracy of some of the images."""
        return CaptionAccuracy(*(value[rows] for value in vars(self).values()))

    @property
    def share(self) -> Float[Tensor, "n"]:
        """Share of the attributes that apply (objects, colours, relation, view) that are right, in [0, 1]."""
        names = ("object", "colour", "relation", "view")
        applies = torch.stack([self.applicable(name) for name in names])
        right = torch.stack([self.by_attribute[name] for name in names])
        return (right & applies).sum(0) / applies.sum(0)

    def applicable(self, attribute: str) -> Bool[Tensor, "n"]:
        """Images to which an attribute of `by_attribute` applies."""
        return {"relation": self.two_objects, "view": self.view_visible}.get(
            attribute, torch.ones_like(self.two_objects)
        )

    def wrong_attributes(self, row: int) -> list[str]:
        """Wrong attributes of an image."""
        return [name for name, right in self.by_attribute.items() if name != "all" and not right[row]]


@torch.no_grad()
def predict(classifier: SceneClassifier, images: Float[Tensor, "n 3 h w"]) -> Predictions:
    """Classifier predictions for images in [0, 1], in batches, on the classifier's device."""
    device = next(classifier.parameters()).device
    parts = [Predictions.from_output(classifier(part.to(device))) for part in images.split(_CHUNK)]
    return Predictions(*map(torch.cat, zip(*(vars(part).values() for part in parts), strict=True)))


@torch.no_grad()
def classifier_features(classifier: SceneClassifier, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
    """Features of images in [0, 1], in batches, on the classifier's device; returned on the CPU."""
    device = next(classifier.parameters()).device
    return torch.cat([classifier.features(part.to(device)).cpu() for part in images.split(_CHUNK)])


def score_captions(
    classifier: SceneClassifier, images: Float[Tensor, "n 3 h w"], captions: Sequence[str]
) -> CaptionAccuracy:
    """Caption accuracy of images by the scene classifier.

    Raises:
        ValueError: a caption outside the grammar of the scenes, or unequal numbers of images and captions.
    """
    if len(images) != len(captions):
        raise ValueError(f"each image must have one caption, got {len(images)} images and {len(captions)} captions")
    parsed = [parse(caption) for caption in captions]
    return compare_predictions(predict(classifier, images), parsed)


def compare_predictions(predictions: Predictions, captions: Sequence[ParsedCaption]) -> CaptionAccuracy:
    """Compares predictions with parsed captions by the criteria of this module."""
    rows = [_compare_row(predictions, i, caption) for i, caption in enumerate(captions)]
    objects, colours, relations, views = torch.tensor(rows, dtype=torch.bool).reshape(-1, 4).unbind(-1)
    two_objects = torch.tensor([len(caption.objects) == 2 for caption in captions], dtype=torch.bool)
    view_visible = torch.tensor([has_visible_view(caption) for caption in captions], dtype=torch.bool)
    return CaptionAccuracy(objects, colours, relations, views, two_objects, view_visible)


def accuracy_by_attribute(
    scores: CaptionAccuracy, groups: Int[Tensor, "n"] | None = None, seed: int = 0
) -> dict[str, Estimate]:
    """Accuracy of each attribute over the images to which it applies, with its bootstrap interval over captions.

    Args:
        scores: caption accuracy of the images.
        groups: index of each image's caption, for several images per caption.
        seed: random seed of the resampling.
    """
    estimates = {}
    for name, right in scores.by_attribute.items():
        rows = scores.applicable(name).nonzero()[:, 0]
        if len(rows):
            share = mean_with_interval(right[rows].double(), None if groups is None else groups[rows], seed)
            edges = share.interval and (max(0.0, share.interval[0]), min(1.0, share.interval[1]))
            estimates[name] = Estimate(share.value, edges)
    return estimates


def match_objects(predictions: Predictions, row: int, caption: ParsedCaption) -> tuple[list[tuple[int, int]], bool]:
    """Predicted (object type, colour) of each object of the caption, and whether the slots were swapped."""
    slots = list(zip(predictions.object_type[row].tolist(), predictions.colour[row].tolist(), strict=True))
    azimuth = int(predictions.azimuth[row])

    def n_matches(pairs: Sequence[tuple[int, int]]) -> tuple[int, int]:
        return sum(object_type_matches(caption, azimuth, pairs)), sum(_colour_matches(caption, pairs))

    if len(caption.objects) == 1:
        return [max(slots, key=lambda slot: n_matches([slot]))], False
    return (slots[::-1], True) if n_matches(slots[::-1]) > n_matches(slots) else (slots, False)


def object_type_matches(caption: ParsedCaption, azimuth: int, slots: Sequence[tuple[int, int]]) -> list[bool]:
    """Whether the type of each object of the caption was predicted, or one that looks the same from there."""
    names = [_NAMES[object_type] for object_type, _ in slots]
    return [
        predicted is not None and same_object_type(expected.object_type, predicted, azimuth, caption.view)
        for expected, predicted in zip(caption.objects, names, strict=True)
    ]


def _colour_matches(caption: ParsedCaption, slots: Sequence[tuple[int, int]]) -> list[bool]:
    """Whether the colour of each object of the caption was predicted."""
    colours = list(COLOURS)
    return [colours.index(item.colour) == colour for item, (_, colour) in zip(caption.objects, slots, strict=True)]


def _compare_row(predictions: Predictions, i: int, caption: ParsedCaption) -> tuple[bool, bool, bool, bool]:
    azimuth, (slots, swapped) = int(predictions.azimuth[i]), match_objects(predictions, i, caption)
    type_right = object_type_matches(caption, azimuth, slots)
    no_extra_object = len(slots) == 2 or _NAMES[int(predictions.object_type[i, 1])] is None
    relation = view = True
    if caption.relation is not None:
        expected = RELATIONS.index(caption.relation)
        relation = int(predictions.relation[i]) == expected and (expected == BESIDE or not swapped)
    if caption.view is not None and has_visible_view(caption):
        names = [_NAMES[index] if matches else None for (index, _), matches in zip(slots, type_right, strict=True)]
        pairs = [(o.object_type, name or o.object_type) for o, name in zip(caption.objects, names, strict=True)]
        view = view_matches(azimuth, predictions.elevation[i].item(), caption.view, pairs)
    return all(type_right) and no_extra_object, all(_colour_matches(caption, slots)), relation, view
