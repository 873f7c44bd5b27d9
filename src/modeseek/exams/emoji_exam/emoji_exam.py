"""Emoji exam of a text-to-image prior: names, sampled by diffusers, and the nearest of all drawings."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from modeseek.datasets.emoji import Icon, augment, canonical, render_icons
from modeseek.exams.emoji_exam.memory import memory_table
from modeseek.exams.exam import Exam, group_equal, sample_captions, shuffle
from modeseek.io.progress import Progress
from modeseek.metrics.bootstrap import Estimate, mean_with_interval
from modeseek.metrics.drawing_distance import NearestDrawings, drawing_distances, nearest_drawings
from modeseek.reports.metric import Metric, evaluate
from modeseek.reports.table import Row, Table, row_values
from modeseek.rng import Streams

NEAREST = 5  # drawings that are looked at
_RENDERED = 128  # icons between two reports of progress


@dataclass(frozen=True)
class NamedImages:
    """Images of names, compared with all drawings.

    Attributes:
        right: whether each of the nearest drawings bears the name of the image, nearest first.
        groups: number of each image's name; equal names share one.
        seed: random seed of the intervals.
    """

    right: Bool[Tensor, "n k"]
    groups: Int[Tensor, "n"]
    seed: int

    @cached_property
    def first(self) -> Estimate:
        """Share whose nearest drawing bears the name."""
        return self._share(self.right[:, 0])

    @cached_property
    def among(self) -> Estimate:
        """Share with a drawing of the name among the nearest."""
        return self._share(self.right.any(1))

    def select(self, chosen: Bool[Tensor, "n"]) -> NamedImages:
        """Some of the images."""
        return NamedImages(self.right[chosen], self.groups[chosen], self.seed)

    def row(self, name: str, reference: bool = False) -> Row:
        """Row of the table."""
        return Row(name, row_values(evaluate(METRICS, self)), reference)

    def _share(self, values: Tensor) -> Estimate:
        share = mean_with_interval(values.double(), self.groups, self.seed)
        if share.interval is None:
            return share
        low, high = share.interval
        return Estimate(share.value, (max(0.0, low), min(1.0, high)))


METRICS: tuple[Metric[NamedImages], ...] = (
    Metric("top1", "Top 1", "Share of images whose nearest drawing, of all in both sets, bears the name of the prompt.",
           unit="share", evaluate=lambda images: images.first),
    Metric("top5", f"Top {NEAREST}", f"Share of images with a drawing of that name among the {NEAREST} nearest.",
           unit="share", evaluate=lambda images: images.among),
    Metric("n", "Images", "Number of names, one image each.", ".0f",
           evaluate=lambda images: Estimate(float(len(images.groups)))),
)  # fmt: skip


@dataclass(frozen=True)
class EmojiExamResult:
    """Result of an emoji exam.

    Attributes:
        images: samples of the pipeline, in [0, 1].
        right: whether each of the nearest drawings bears the name of the sample.
        nearest: nearest drawings of each sample.
        drawings: the drawing nearest to each sample, on white, in [0, 1].
        table: rows of the pipeline, of its samples by category, of re-drawn drawings of the names, and of these under
            shuffled names (chance level).
        memory: distances of samples to the nearest drawing, beside distances between drawings.
    """

    images: Float[Tensor, "n 3 h w"]
    right: Bool[Tensor, "n k"]
    nearest: NearestDrawings
    drawings: Float[Tensor, "n 3 64 64"]
    table: Table
    memory: Table


def draw_names(icons: Sequence[Icon], n: int, seed: int) -> tuple[str, ...]:
    """Names of drawings in random order, the first n; equal seeds give equal names.

    Raises:
        ValueError: n < 1, or fewer names than n.
    """
    names = sorted({icon.name for icon in icons})
    if not 1 <= n <= len(names):
        raise ValueError(f"an exam needs 1 to {len(names)} names, got {n}; change --captions")
    rng = Streams(seed, use="exam names").generator(0, torch.device("cpu"))
    return tuple(names[i] for i in torch.randperm(len(names), generator=rng)[:n].tolist())


def examine(exam: Exam, names: Sequence[str], icons: Sequence[Icon]) -> Generator[Progress, None, EmojiExamResult]:
    """Samples the captions and finds the nearest of all drawings to each sample, and to re-drawn drawings.

    Args:
        exam: settings; its captions are the prompts of the names.
        names: name in each caption, the ground truth.
        icons: all drawings.

    Raises:
        ValueError: the pipeline cannot be loaded, or an icon cannot be rendered.
    """
    pixels = yield from _render(icons)
    images = yield from sample_captions(exam)
    rng = Streams(exam.seed, use="exam drawings").generator(0, torch.device("cpu"))
    rows = _drawings_of(names, icons, rng)
    redrawn = augment(pixels[rows], rng, white=1.0).image
    held = torch.tensor([i for i, icon in enumerate(icons) if icon.name in set(names)])
    resized = torch.nn.functional.interpolate(images, redrawn.shape[2:], mode="area")
    queries = torch.cat([resized, redrawn, canonical(pixels[held])])
    distances = yield from drawing_distances(queries, pixels.to(exam.device))
    n, distances = len(names), distances.cpu()
    of_samples, of_redrawn, of_drawings = distances[:n], distances[n : 2 * n], distances[2 * n :]
    nearest, nearest_redrawn = nearest_drawings(of_samples, NEAREST), nearest_drawings(of_redrawn, NEAREST)
    known = names_of_drawings(icons, pixels)
    groups, right = group_equal(names), _bears(names, nearest, known)
    samples = NamedImages(right, groups, exam.seed)
    table_rows = [samples.row("pipeline")]
    categories = _categories(names, icons)
    for category in sorted(set(categories)):
        chosen = torch.tensor([other == category for other in categories])
        table_rows.append(samples.select(chosen).row(f"- {category}"))
    truth = NamedImages(_bears(names, nearest_redrawn, known), groups, exam.seed)
    table_rows.append(truth.row("re-drawn", reference=True))
    shuffled = shuffle(n, exam.seed)
    chance = _bears([names[i] for i in shuffled], nearest_redrawn, known)
    table_rows.append(NamedImages(chance, groups[shuffled], exam.seed).row("by luck", reference=True))
    memory = memory_table(of_samples, of_redrawn, of_drawings, held, icons)
    drawings = canonical(pixels[nearest.index[:, 0]])
    return EmojiExamResult(images, right, nearest, drawings, Table(METRICS, tuple(table_rows)), memory)


def names_of_drawings(icons: Sequence[Icon], pixels: UInt8[Tensor, "m 4 s s"]) -> list[set[str]]:
    """Names of each drawing: its own, and those of drawings with exactly the same pixels."""
    contents = [image.numpy().tobytes() for image in pixels]
    names: dict[bytes, set[str]] = {}
    for content, icon in zip(contents, icons, strict=True):
        names.setdefault(content, set()).add(icon.name)
    return [names[content] for content in contents]


def facts(exam: Exam, names: Sequence[str], result: EmojiExamResult, icons: Sequence[Icon]) -> dict[str, Any]:
    """Further entries of `results.json`: the nearest drawings of each caption, and the table of distances."""
    captions = []
    for i, (caption, name) in enumerate(zip(exam.captions, names, strict=True)):
        found = [icons[k] for k in result.nearest.index[i].tolist()]
        captions.append(
            {
                "caption": caption,
                "name": name,
                "nearest": [f"{icon.name}, {icon.style}" for icon in found],
                "right": result.right[i].tolist(),
                "distance": result.nearest.distance[i, 0].item(),
            }
        )
    return {"captions": captions, "memory": {row.name: row.values for row in result.memory.rows}}


def _render(icons: Sequence[Icon]) -> Generator[Progress, None, Tensor]:
    parts: list[Tensor] = []
    for start in range(0, len(icons), _RENDERED):
        parts.append(render_icons(icons[start : start + _RENDERED]))
        yield Progress("rendering", min(len(icons), start + _RENDERED), len(icons))
    return torch.cat(parts)


def _drawings_of(names: Sequence[str], icons: Sequence[Icon], rng: torch.Generator) -> Tensor:
    """Index of a drawing of each name, of either set at random."""
    by_name: dict[str, list[int]] = {}
    for index, icon in enumerate(icons):
        by_name.setdefault(icon.name, []).append(index)
    chosen = [by_name[name][int(torch.randint(len(by_name[name]), (), generator=rng))] for name in names]
    return torch.tensor(chosen)


def _bears(names: Sequence[str], nearest: NearestDrawings, known: Sequence[set[str]]) -> Tensor:
    """Whether each of the nearest drawings bears the name of the image, (n, k)."""
    return torch.tensor(
        [[name in known[k] for k in row] for name, row in zip(names, nearest.index.tolist(), strict=True)]
    )


def _categories(names: Sequence[str], icons: Sequence[Icon]) -> list[str]:
    """Category of each name; "other" where neither set has one."""
    found = {icon.name: icon.category for icon in icons if icon.category}
    return [found.get(name, "other") for name in names]
