"""The examination of a scene prior: captions that training never saw, drawn by diffusers, judged by attribute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes import ParsedCaption, Scenes, parse
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.vocabulary import COLOURS, RELATIONS
from modeseek.experiments.common.metric_table import MetricTable, flatten
from modeseek.io.progress import Progress
from modeseek.metrics.bootstrap import Estimate
from modeseek.metrics.frechet import kid
from modeseek.metrics.scenes.caption_accuracy import (
    CaptionAccuracy,
    Predictions,
    accuracy_by_attribute,
    compare_predictions,
    predict,
    match_objects,
    object_type_matches,
)
from modeseek.metrics.scenes.classifier import SceneClassifier
from modeseek.priors.pipeline.diffusers_sampling import sample_with_diffusers
from modeseek.reports.table import Column, Row
from modeseek.rng import Streams

KINDS = ("alone", *RELATIONS)
COLUMNS = (
    Column("object", "Object", "Share of pictures that show all things of the caption and no other."),
    Column("colour", "Colour", "Share in which each thing wears the colour that the caption gives it."),
    Column("relation", "Relation", "Share with the right relation in the right order, of captions with two objects."),
    Column("view", "View", "Share seen from where the caption says, of captions whose view can be told from a picture: "
           "the azimuth within a step of 15 degrees, the height within 7.5 degrees of the word's range."),
    Column("all", "All", "Share with everything right that the caption says, sizes aside."),
    Column("kid", "KID", "Unbiased squared MMD of the judge's features to as many renders of other held-out captions, "
           "by a cubic kernel. Of the same captions it would be biased downwards: the sets would not be independent.",
           ".3f"),
    Column("n", "Pictures", "Captions, one picture each.", ".0f"),
)  # fmt: skip


@dataclass(frozen=True)
class CaptionExam:
    """What is asked.

    Attributes:
        folder: of the pipeline.
        captions: one a picture.
        scale: of guidance.
        steps: of the scheduler.
        seed: of noise and renders.
        device: of the networks.
        batch: pictures at a time.
    """

    folder: Path
    captions: tuple[str, ...]
    scale: float
    steps: int
    seed: int
    device: str = "cpu"
    batch: int = 25


@dataclass(frozen=True)
class ExamResult:
    """What came out.

    Attributes:
        images: of the pipeline.
        scores: of them.
        verdicts: what the judge saw in them.
        table: the numbers: the pipeline's, those of its kinds of captions, those of renders, and what luck gives,
            renders under captions of one another.
        mistakes: "thing", "colour", "relation" to (asked, seen, times), the most frequent first.
        confused: likewise of renders: the judge's own mistakes.
    """

    images: Float[Tensor, "n 3 h w"]
    scores: CaptionAccuracy
    predictions: Predictions
    table: MetricTable
    mistakes: dict[str, list[tuple[str, str, int]]]
    classifier_mistakes: dict[str, list[tuple[str, str, int]]]


def held_out_captions(n: int, seed: int, part: int = 0) -> tuple[str, ...]:
    """n captions of held-out combinations, each with a view: by turns one object alone, and two in each relation.

    Args:
        n: how many.
        seed: of the draws.
        part: another one draws others.

    Raises:
        ValueError: fewer than one.
    """
    if n < 1:
        raise ValueError(f"an examination has at least 1 caption: got {n}; raise --captions")
    rng = Streams(seed, step=part, use="exam captions").generator(0, torch.device("cpu"))
    by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS}
    each = -(-n // len(KINDS))
    while min(map(len, by_kind.values())) < each:
        for caption in Scenes().draw(256, rng, held_out=True).captions:
            parsed = parse(caption)
            if parsed.view is not None:
                by_kind[parsed.relation or KINDS[0]].append(caption)
    return tuple(by_kind[KINDS[i % len(KINDS)]][i // len(KINDS)] for i in range(n))


def examine(exam: CaptionExam, classifier: SceneClassifier) -> Generator[Progress, None, ExamResult]:
    """Draws, renders the same captions and others, judges and compares.

    Raises:
        ValueError: the pipeline cannot be loaded, or a caption is outside the grammar.
    """
    captions, n = exam.captions, len(exam.captions)
    parsed, groups = [parse(caption) for caption in captions], _groups(captions)
    renders = []
    for k, words in enumerate((captions, held_out_captions(n, exam.seed, part=1))):
        rng = Streams(exam.seed, step=k, use="exam renders").generator(0, torch.device("cpu"))
        renders.append(Scenes().render(Scenes().layouts_for(words, rng)).image)
        yield Progress("rendering", k + 1, 2)
    drawn: list[Tensor] = []
    for part in sample_with_diffusers(
        exam.folder,
        captions,
        scale=exam.scale,
        steps=exam.steps,
        seed=exam.seed,
        batch=exam.batch,
        device=exam.device,
    ):
        drawn.append(part)
        yield Progress("drawing", sum(map(len, drawn)), n)
    images = torch.cat(drawn)
    classifier = classifier.to(exam.device)
    found, true = predict(classifier, images), predict(classifier, renders[0])
    scores, own = compare_predictions(found, parsed), compare_predictions(true, parsed)
    with torch.no_grad():
        drawings, same, others = (
            torch.cat([classifier.features(part.to(exam.device)).cpu() for part in some.split(256)])
            for some in (images, *renders)
        )
    apart: tuple[Estimate | None, Estimate | None] = (None, None)
    if n > 1:
        apart = (kid(others, drawings, exam.seed), kid(others, same, exam.seed))
    rows = [Row("pipeline", _values(scores, groups, exam.seed, apart[0]))]
    for kind in KINDS:
        chosen = torch.tensor([(one.relation or KINDS[0]) == kind for one in parsed])
        if chosen.any():
            part = CaptionAccuracy(*(getattr(scores, name)[chosen] for name in CaptionAccuracy.__dataclass_fields__))
            rows.append(Row(f"- {kind}", _values(part, groups[chosen], exam.seed, None)))
    rows.append(Row("renders", _values(own, groups, exam.seed, apart[1]), reference=True))
    mixed = torch.randperm(n, generator=torch.Generator().manual_seed(exam.seed)).tolist()
    lucky = compare_predictions(true, [parsed[i] for i in mixed])
    rows.append(Row("by luck", _values(lucky, groups[mixed], exam.seed, None), reference=True))
    yield Progress("judging", n, n)
    table = MetricTable(COLUMNS, tuple(rows))
    return ExamResult(images, scores, found, table, mistakes(found, parsed), mistakes(true, parsed))


def mistakes(
    predictions: Predictions, parsed: Sequence[ParsedCaption], most: int = 12
) -> dict[str, list[tuple[str, str, int]]]:
    """What was taken for what: (asked, seen, times) of things, colours and relations, the most frequent first."""
    things, colours, relations = (*OBJECT_TYPES, "nothing"), (*COLOURS, "nothing"), (*RELATIONS, "alone")
    counts: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in ("thing", "colour", "relation")}
    for i, one in enumerate(parsed):
        found, turned = match_objects(predictions, i, one)
        right = object_type_matches(one, int(predictions.azimuth[i]), found)
        for wanted, (thing, colour), good in zip(one.objects, found, right, strict=True):
            counts["thing"][wanted.object_type, wanted.object_type if good else things[thing]] += 1
            counts["colour"][wanted.colour, colours[colour]] += 1
        if len(one.objects) == 1:
            counts["thing"]["nothing", things[int(predictions.object_type[i, 1])]] += 1
        seen = relations[int(predictions.relation[i])]
        order = " in the other order" if turned and seen == one.relation and seen != "beside" else ""
        counts["relation"][one.relation or "alone", seen + order] += 1
    return {
        name: [(*pair, times) for pair, times in count.most_common() if pair[0] != pair[1]][:most]
        for name, count in counts.items()
    }


def _values(scores: CaptionAccuracy, groups: Tensor, seed: int, distance: Estimate | None) -> dict[str, float]:
    told = accuracy_by_attribute(scores, groups, seed)
    if distance is not None:
        told["kid"] = distance
    return {"n": float(len(groups))} | flatten(told)


def _groups(captions: Sequence[str]) -> Tensor:
    """Which caption each is, those said twice being one."""
    numbers = {caption: i for i, caption in enumerate(dict.fromkeys(captions))}
    return torch.tensor([numbers[caption] for caption in captions])


def facts(exam: CaptionExam, result: ExamResult, classifier: SceneClassifier) -> dict[str, Any]:
    """What `results.json` holds beside the table."""
    return {
        "captions": [
            {"caption": caption, "wrong": result.scores.wrong_attributes(i), "seen": result.predictions.describe(i)}
            for i, caption in enumerate(exam.captions)
        ],
        "mistakes": result.mistakes,
        "judge": {"accuracy when it was made": classifier.accuracy, "mistakes on renders": result.classifier_mistakes},
    }
