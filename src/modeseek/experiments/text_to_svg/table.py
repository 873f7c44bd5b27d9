"""Tables of the text-to-SVG experiment: measures of every entry, and paired differences to the fitted samples."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import torch

from modeseek.experiments.text_to_svg.entries import BASELINES, FIT, SAMPLE, TRUTH
from modeseek.experiments.text_to_svg.measure import SCORES, MeasuredDrawings
from modeseek.metrics.bootstrap import Estimate, mean_with_interval
from modeseek.reports.table import Column, Row, Table, row_values

COLUMNS = (
    Column("distance", "Distance", "RMS difference of pixel values in [0, 1] between the SVG, rendered by resvg at the "
           "size of the prior's images, and the true drawing of the word, least over its places, sizes and angles.",
           ".3f", "low"),
    Column("top1", "Top 1", "Share whose nearest drawing, of all in both icon sets, bears the name of the word: the "
           "emoji exam.", ".2f", "high"),
    Column("top5", "Top 5", "Share with a drawing of that name among the five nearest.", ".2f", "high"),
    Column("region_iou", "Region IoU", "Mean intersection over union of the colour regions of the true drawing, placed "
           "as for the distance, with those of the SVG rendered at 512 pixels, matched one to one; compared at 128.",
           ".3f", "high"),
    Column("palette", "Palette", "Earth mover's distance in CIELAB (1976) between the colours of the SVG and those of "
           "the true drawing, weighted by area.", ".1f", "low"),
    Column("nearest", "Nearest", "Distance to the nearest of all drawings that the prior was trained on.", ".3f"),
    Column("paths", "Paths", "Number of paths in the file, the background aside.", ".1f"),
    Column("bytes", "Bytes", "Size of the file.", ",.0f"),
    Column("error", "Re-render error", "Mean absolute difference between the SVG as resvg renders it and the optimised "
           "image; of traced samples, to the sample.", ".1e"),
    Column("calls", "Calls", "Prior calls per drawing, those of the sample included; a guided evaluation is two.",
           ".0f"),
    Column("seconds", "Seconds", "Run time per drawing of a batch, that of the sample included.", ".1f"),
)  # fmt: skip
"""Columns of the main table: the measures of a drawing, then costs."""
COMPARED = ("distance", "top1", "top5", "region_iou", "palette")
"""Keys that are compared in pairs."""
_REFERENCES = (TRUTH, SAMPLE)  # no drawings of a method


def drawing_table(measured: Mapping[str, Sequence[MeasuredDrawings]], seed: int) -> Table:
    """Means over drawings, a row per entry; intervals resample words.

    Args:
        measured: measures of the batches by entry.
        seed: random seed of the intervals.
    """
    rows = []
    for name, batches in measured.items():
        values = row_values({key: found for key in SCORES if (found := _mean(batches, key, seed)) is not None})
        n = sum(len(batch.batch.words) for batch in batches)
        for key in ("calls", "seconds"):
            values[key] = sum(getattr(batch, key) * len(batch.batch.words) for batch in batches) / n
        for key in ("nearest", "paths", "bytes", "error"):  # costs and sizes have no intervals
            for side in ("low", "high"):
                values.pop(f"{key}_{side}", None)
        rows.append(Row(name, values, name in _REFERENCES))
    return Table(COLUMNS, tuple(rows))


def paired_gain(
    mine: Sequence[MeasuredDrawings], base: Sequence[MeasuredDrawings], column: Column, seed: int
) -> Estimate:
    """Mean gain of drawings over those of the baseline of equal word and seed; positive is better.

    Its 95 % interval is from resampling words.
    """
    sign = -1.0 if column.best == "low" else 1.0
    others = {
        item: value for batch in base for item, value in zip(batch.batch.items, batch.values[column.key], strict=True)
    }
    pairs = [
        (item[0], sign * (value - others[item]))
        for batch in mine
        for item, value in zip(batch.batch.items, batch.values[column.key], strict=True)
    ]
    words = torch.tensor([word for word, _ in pairs])
    return mean_with_interval(torch.tensor([gain for _, gain in pairs], dtype=torch.float64), words, seed)


def gain_table(measured: Mapping[str, Sequence[MeasuredDrawings]], seed: int) -> Table:
    """Paired gains over the fitted samples, a row per other entry.

    Args:
        measured: measures of the batches by entry.
        seed: random seed of the intervals.
    """
    by_key = {column.key: column for column in COLUMNS}
    title = next(entry.title for entry in BASELINES if entry.name == FIT)
    columns = tuple(
        Column(f"gain_{key}", f"{by_key[key].heading}, gain", f"Mean gain in {by_key[key].heading} over "
               f'"{title}" with its 95 % interval by resampling words; positive is better.',
               by_key[key].spec if key != "top1" else ".2f", "high")
        for key in COMPARED
    )  # fmt: skip
    rows = []
    for name, batches in measured.items():
        if name in (FIT, TRUTH):
            continue
        gains = {f"gain_{key}": paired_gain(batches, measured[FIT], by_key[key], seed) for key in COMPARED}
        rows.append(Row(name, row_values(gains), name in _REFERENCES))
    return Table(columns, tuple(rows))


def drawings_csv(measured: Mapping[str, Sequence[MeasuredDrawings]]) -> str:
    """Measures of every drawing as CSV: entry, word, seed, values, and the nearest drawing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "word", "seed", *SCORES, "nearest_drawing"])
    for name, batches in measured.items():
        for batch in batches:
            for k, word in enumerate(batch.batch.words):
                values = [batch.values[key][k] if key in batch.values else "" for key in SCORES]
                writer.writerow([name, word.name, batch.batch.number, *values, batch.nearest[k]])
    return text.getvalue()


def _mean(batches: Sequence[MeasuredDrawings], key: str, seed: int) -> Estimate | None:
    """Mean of a measure over drawings, or None where it does not apply."""
    if key not in batches[0].values:
        return None
    values = torch.tensor([value for batch in batches for value in batch.values[key]], dtype=torch.float64)
    words = torch.tensor([word for batch in batches for word, _ in batch.batch.items])
    return mean_with_interval(values, words, seed)
