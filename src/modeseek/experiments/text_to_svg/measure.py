"""Measures of drawings, made on their SVG as resvg renders it: exam, true drawing, nearest drawing, size."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from modeseek.datasets.emoji import Icon, canonical, render_icons
from modeseek.exams.emoji_exam.emoji_exam import NEAREST, names_of_drawings
from modeseek.experiments.text_to_svg.entries import SAMPLE, TRUTH
from modeseek.experiments.text_to_svg.jobs import JobOutput, MadeDrawings
from modeseek.experiments.text_to_svg.plan import DrawingBatch
from modeseek.io.atomic import write_atomic
from modeseek.io.images import read_images
from modeseek.io.progress import Progress, run_to_result
from modeseek.metrics.drawing_distance import drawing_distances, nearest_drawings
from modeseek.metrics.drawing_regions import (
    draw_placed,
    find_palette,
    find_placement,
    palette_distance,
    region_iou,
)
from modeseek.metrics.vector import count_bytes, count_paths, render_svg

LARGE = 512  # pixels at which drawings are rendered for regions and palettes
_REGIONS = 128  # pixels at which these are compared, averages of those
_ICON = 256  # pixels of the true drawings for them
_SMALL = 96  # pixels of drawings that places and distances are found with
SCORES = ("distance", "top1", "top5", "region_iou", "palette", "nearest", "paths", "bytes", "error")
"""Keys of the measures of a drawing, in the order of the tables."""


@dataclass(frozen=True)
class MeasuredDrawings:
    """Measures of the drawings of one entry and batch.

    Attributes:
        entry: name of the entry.
        batch: words and seed.
        values: value of each drawing by key; those that do not apply are absent.
        nearest: name and style of the nearest drawing of each.
        dropped: number of invisible paths dropped, mean over the drawings; None where there is no file.
        calls: prior calls per drawing.
        seconds: run time per drawing.
    """

    entry: str
    batch: DrawingBatch
    values: Mapping[str, tuple[float, ...]]
    nearest: tuple[str, ...]
    dropped: float | None
    calls: float
    seconds: float


@dataclass(frozen=True)
class Ruler:
    """What drawings are measured with: all drawings of both icon sets.

    Attributes:
        icons: all drawings.
        size: (height, width) of the images of the prior, pixels.
    """

    icons: tuple[Icon, ...]
    size: tuple[int, int]

    @cached_property
    def pixels(self) -> UInt8[Tensor, "m 4 s s"]:
        """The drawings rendered."""
        return render_icons(self.icons, _SMALL)

    @cached_property
    def names(self) -> list[set[str]]:
        """Names of each drawing."""
        return names_of_drawings(self.icons, self.pixels)

    def distance(self, drawings: MadeDrawings) -> float:
        """Mean distance of drawings to the true ones, the score of the tuning."""
        return sum(
            find_placement(render_svg(svg, self.size), render_icons([word.icon], _SMALL)[0]).distance
            for svg, word in zip(drawings.svgs, drawings.batch.words, strict=True)
        ) / len(drawings.svgs)

    def measure(self, drawings: MadeDrawings) -> MeasuredDrawings:
        """Measures the SVGs of one entry and batch."""
        small = torch.stack([render_svg(svg, self.size) for svg in drawings.svgs])
        large = torch.stack([_reduce(render_svg(svg, (LARGE, LARGE))) for svg in drawings.svgs])
        values, nearest = self._measure_images(drawings.batch, small, large)
        values |= {
            "paths": [float(count_paths(svg)) for svg in drawings.svgs],
            "bytes": [float(count_bytes(svg)) for svg in drawings.svgs],
            "error": list(drawings.errors),
        }
        return MeasuredDrawings(
            drawings.entry,
            drawings.batch,
            {key: tuple(own) for key, own in values.items()},
            nearest,
            drawings.dropped,
            drawings.calls,
            drawings.seconds,
        )

    def measure_samples(self, output: JobOutput, batch: DrawingBatch, costs: MadeDrawings) -> MeasuredDrawings:
        """Measures the samples of a batch, which are no drawings."""
        images = read_images(output.images)
        large = torch.nn.functional.interpolate(images, (_REGIONS, _REGIONS), mode="bicubic", antialias=True)
        values, nearest = self._measure_images(batch, images, large.clamp(0, 1))
        return MeasuredDrawings(
            SAMPLE, batch, {key: tuple(own) for key, own in values.items()}, nearest, None, costs.calls, costs.seconds
        )

    def measure_truth(self, batch: DrawingBatch) -> MeasuredDrawings:
        """Measures the true drawings, centred on white as in the exam."""
        icons = [word.icon for word in batch.words]
        pixels = render_icons(icons, _ICON)
        values, nearest = self._measure_images(batch, canonical(pixels, self.size[0]), canonical(pixels, _REGIONS))
        values |= {
            "paths": [float(count_paths(icon.svg)) for icon in icons],
            "bytes": [float(count_bytes(icon.svg)) for icon in icons],
        }
        return MeasuredDrawings(TRUTH, batch, {key: tuple(own) for key, own in values.items()}, nearest, None, 0.0, 0.0)

    def _measure_images(
        self, batch: DrawingBatch, small: Float[Tensor, "n 3 h w"], large: Float[Tensor, "n 3 i j"]
    ) -> tuple[dict[str, list[float]], tuple[str, ...]]:
        icons = [word.icon for word in batch.words]
        coarse, fine = render_icons(icons, _SMALL), render_icons(icons, _ICON)
        distances = run_to_result(drawing_distances(small, self.pixels))
        found = nearest_drawings(distances, NEAREST)
        right = [
            [word.name in self.names[k] for k in row]
            for word, row in zip(batch.words, found.index.tolist(), strict=True)
        ]
        values: dict[str, list[float]] = {key: [] for key in ("distance", "region_iou", "palette")}
        for image, big, own, detailed in zip(small, large, coarse, fine, strict=True):
            placed = find_placement(image, own)
            palette, truth = find_palette(big), find_palette(draw_placed(detailed, placed, _REGIONS))
            values["distance"].append(placed.distance)
            values["region_iou"].append(region_iou(palette, truth))
            values["palette"].append(palette_distance(palette, truth))
        values |= {
            "top1": [float(row[0]) for row in right],
            "top5": [float(any(row)) for row in right],
            "nearest": found.distance[:, 0].tolist(),
        }
        named = (self.icons[k] for k in found.index[:, 0].tolist())
        return values, tuple(f"{icon.name}, {icon.style}" for icon in named)


def measure_outputs(
    ruler: Ruler, batches: Sequence[DrawingBatch], outputs: Mapping[str, Sequence[JobOutput]], folder: Path
) -> Generator[Progress, None, dict[str, list[MeasuredDrawings]]]:
    """Measures of every entry by its name, one for each batch; each is made once and kept in a file.

    Args:
        ruler: what drawings are measured with.
        batches: batches of every entry, in order.
        outputs: outputs of the finished jobs by group, in the order of the batches: "sample", and the methods.
        folder: folder of the files.
    """
    folder.mkdir(exist_ok=True)
    measured: dict[str, list[MeasuredDrawings]] = {}
    samples = outputs["sample"]
    names = [TRUTH, SAMPLE, *samples[0].made, *(name for name in outputs if name != "sample")]
    for name in names:
        measured[name] = []
        for k, batch in enumerate(batches):
            yield Progress("measuring", sum(map(len, measured.values())), len(names) * len(batches), name)
            path = folder / f"{name}-{batch.name}.json"
            found = _read(path, name, batch)
            if found is None:
                if name == TRUTH:
                    found = ruler.measure_truth(batch)
                elif name == SAMPLE:
                    found = ruler.measure_samples(samples[k], batch, next(iter(samples[k].made.values())))
                else:
                    output = samples[k] if name in samples[k].made else outputs[name][k]
                    found = ruler.measure(output.made[name])
                write_atomic(path, json.dumps(_plain(found)) + "\n")
            measured[name].append(found)
    return measured


def _plain(measured: MeasuredDrawings) -> dict[str, object]:
    return {
        "values": measured.values,
        "nearest": measured.nearest,
        "dropped": measured.dropped,
        "calls": measured.calls,
        "seconds": measured.seconds,
    }


def _read(path: Path, name: str, batch: DrawingBatch) -> MeasuredDrawings | None:
    """Measures of an earlier session; None without them."""
    if not path.is_file():
        return None
    plain = json.loads(path.read_text(encoding="utf-8"))
    values = {key: tuple(own) for key, own in plain["values"].items()}
    return MeasuredDrawings(
        name, batch, values, tuple(plain["nearest"]), plain["dropped"], plain["calls"], plain["seconds"]
    )


def _reduce(image: Tensor) -> Tensor:
    return torch.nn.functional.interpolate(image[None], (_REGIONS, _REGIONS), mode="area")[0]
