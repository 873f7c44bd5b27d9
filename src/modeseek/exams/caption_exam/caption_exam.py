"""Caption exam of a text-to-image prior: held-out captions, sampled by diffusers, scored by a scene classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.datasets.scenes import ParsedCaption, Scenes, parse
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS
from modeseek.exams.exam import Exam, group_equal, sample_captions, shuffle
from modeseek.io.progress import Progress
from modeseek.metrics.bootstrap import Estimate
from modeseek.metrics.frechet import kid
from modeseek.metrics.scenes.caption_accuracy import (
    CaptionAccuracy,
    Predictions,
    accuracy_by_attribute,
    classifier_features,
    compare_predictions,
    match_objects,
    object_type_matches,
    predict,
)
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.reports.metric import Metric, evaluate
from modeseek.reports.table import Row, Table, row_values
from modeseek.rng import Streams

KINDS = ("alone", *RELATIONS)


@dataclass(frozen=True)
class ScoredImages:
    """Images whose captions were compared with the classifier's predictions.

    Attributes:
        scores: caption accuracy of each image.
        groups: number of each image's caption; equal captions share one.
        seed: random seed of the intervals.
        distance: distance of the set to renders of other captions, or None.
    """

    scores: CaptionAccuracy
    groups: Int[Tensor, "n"]
    seed: int
    distance: Estimate | None = None

    @cached_property
    def accuracy(self) -> dict[str, Estimate]:
        """Accuracy by attribute, with intervals by resampling captions."""
        return accuracy_by_attribute(self.scores, self.groups, self.seed)

    def row(self, name: str, reference: bool = False) -> Row:
        """Row of the table."""
        return Row(name, row_values(evaluate(METRICS, self)), reference)


def _share(key: str, meaning: str) -> Metric[ScoredImages]:
    return Metric(key, key.capitalize(), meaning, unit="share", evaluate=lambda images: images.accuracy.get(key))


METRICS: tuple[Metric[ScoredImages], ...] = (
    _share("object", "Share of images that show all objects of the caption and no other."),
    _share("colour", "Share in which each object has the colour that the caption gives it."),
    _share("relation", "Share with the right relation in the right order, of captions with two objects."),
    _share("view", "Share with the right viewpoint, of captions whose viewpoint is visible: azimuth within a step of "
           "15 degrees, elevation within 7.5 degrees of the phrase's range."),
    _share("all", "Share in which everything the caption says is right, sizes excepted."),
    Metric("kid", "KID", "Unbiased squared MMD of classifier features to as many renders of other held-out captions, "
           "cubic kernel. With the same captions the sets would be dependent and the estimate biased downwards.",
           references=("kid",), evaluate=lambda images: images.distance),
    Metric("n", "Images", "Number of captions, one image each.", ".0f",
           evaluate=lambda images: Estimate(float(len(images.groups)))),
)  # fmt: skip


@dataclass(frozen=True)
class ExamResult:
    """Result of a caption exam.

    Attributes:
        images: samples of the pipeline, in [0, 1].
        scores: caption accuracy of the samples.
        predictions: predictions of the scene classifier on the samples.
        table: rows of the pipeline, of its samples by kind of caption, of renders of the same captions, and of renders
            under shuffled captions (chance level).
        mistakes: confusion pairs (expected, predicted, count) of "thing", "colour" and "relation", most frequent first.
        classifier_mistakes: confusion pairs on renders, which are the classifier's own mistakes.
    """

    images: Float[Tensor, "n 3 h w"]
    scores: CaptionAccuracy
    predictions: Predictions
    table: Table
    mistakes: dict[str, list[tuple[str, str, int]]]
    classifier_mistakes: dict[str, list[tuple[str, str, int]]]


def held_out_captions(n: int, seed: int, part: int = 0) -> tuple[str, ...]:
    """Captions of held-out combinations, each with a viewpoint: in turn one object, and two in each relation.

    Args:
        n: number of captions, >= 1.
        seed: random seed.
        part: index of the set; sets of different index are drawn independently.

    Raises:
        ValueError: n < 1.
    """
    if n < 1:
        raise ValueError(f"an exam needs at least 1 caption, got {n}; raise --captions")
    rng = Streams(seed, step=part, use="exam captions").generator(0, torch.device("cpu"))
    by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS}
    each = -(-n // len(KINDS))
    while min(map(len, by_kind.values())) < each:
        for caption in Scenes().draw(256, rng, held_out=True).captions:
            parsed = parse(caption)
            if parsed.view is not None:
                by_kind[parsed.relation or KINDS[0]].append(caption)
    return tuple(by_kind[KINDS[i % len(KINDS)]][i // len(KINDS)] for i in range(n))


def examine(exam: Exam, classifier: SceneClassifier) -> Generator[Progress, None, ExamResult]:
    """Samples the captions, renders the same and other captions, and scores all of them.

    Raises:
        ValueError: the pipeline cannot be loaded, or a caption is outside the grammar.
    """
    captions, n = exam.captions, len(exam.captions)
    parsed, groups = [parse(caption) for caption in captions], group_equal(captions)
    renders = []
    for k, texts in enumerate((captions, held_out_captions(n, exam.seed, part=1))):
        rng = Streams(exam.seed, step=k, use="exam renders").generator(0, torch.device("cpu"))
        renders.append(Scenes().render(Scenes().layouts_for(texts, rng)).image)
        yield Progress("rendering", k + 1, 2)
    images = yield from sample_captions(exam)
    classifier = classifier.to(exam.device)
    predictions, on_renders = predict(classifier, images), predict(classifier, renders[0])
    scores, render_scores = compare_predictions(predictions, parsed), compare_predictions(on_renders, parsed)
    sampled, same, others = (classifier_features(classifier, batch) for batch in (images, *renders))
    distances = (kid(others, sampled, exam.seed), kid(others, same, exam.seed)) if n > 1 else (None, None)
    rows = [ScoredImages(scores, groups, exam.seed, distances[0]).row("pipeline")]
    for kind in KINDS:
        chosen = torch.tensor([(caption.relation or KINDS[0]) == kind for caption in parsed])
        if chosen.any():
            rows.append(ScoredImages(scores.select(chosen), groups[chosen], exam.seed).row(f"- {kind}"))
    rows.append(ScoredImages(render_scores, groups, exam.seed, distances[1]).row("renders", reference=True))
    shuffled = shuffle(n, exam.seed)
    chance = compare_predictions(on_renders, [parsed[i] for i in shuffled])
    rows.append(ScoredImages(chance, groups[shuffled], exam.seed).row("by luck", reference=True))
    yield Progress("scoring", n, n)
    table = Table(METRICS, tuple(rows))
    return ExamResult(images, scores, predictions, table, mistakes(predictions, parsed), mistakes(on_renders, parsed))


def mistakes(
    predictions: Predictions, parsed: Sequence[ParsedCaption], most: int = 12
) -> dict[str, list[tuple[str, str, int]]]:
    """Confusion pairs (expected, predicted, count) of objects, colours and relations, the most frequent first.

    Args:
        predictions: predictions of the scene classifier, an image each.
        parsed: captions of the images.
        most: maximum number of pairs of each attribute.
    """
    objects, colours, relations = (*OBJECT_TYPES, "nothing"), (*COLOURS, "nothing"), (*RELATIONS, "alone")
    counts: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in ("thing", "colour", "relation")}
    for i, caption in enumerate(parsed):
        found, turned = match_objects(predictions, i, caption)
        right = object_type_matches(caption, int(predictions.azimuth[i]), found)
        for wanted, (kind, colour), good in zip(caption.objects, found, right, strict=True):
            counts["thing"][wanted.object_type, wanted.object_type if good else objects[kind]] += 1
            counts["colour"][wanted.colour, colours[colour]] += 1
        if len(caption.objects) == 1:
            counts["thing"]["nothing", objects[int(predictions.object_type[i, 1])]] += 1
        seen = relations[int(predictions.relation[i])]
        order = " in the other order" if turned and seen == caption.relation and seen != "beside" else ""
        counts["relation"][caption.relation or "alone", seen + order] += 1
    return {
        name: [(*pair, n) for pair, n in count.most_common() if pair[0] != pair[1]][:most]
        for name, count in counts.items()
    }


def facts(exam: Exam, result: ExamResult, classifier: SceneClassifier) -> dict[str, Any]:
    """Further entries of `results.json`: wrong attributes of each caption, confusion pairs, classifier accuracy."""
    return {
        "captions": [
            {"caption": caption, "wrong": result.scores.wrong_attributes(i), "seen": result.predictions.describe(i)}
            for i, caption in enumerate(exam.captions)
        ],
        "mistakes": result.mistakes,
        "judge": {"accuracy when it was made": classifier.accuracy, "mistakes on renders": result.classifier_mistakes},
    }
