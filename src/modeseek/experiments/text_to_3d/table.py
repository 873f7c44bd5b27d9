"""Result tables: a row per method, with intervals over captions and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from modeseek.experiments.common.metric_table import MetricTable, flatten
from modeseek.experiments.text_to_3d.entries import TextTo3DEntry
from modeseek.experiments.text_to_3d.plan import TextTo3D, TextTo3DJob
from modeseek.experiments.text_to_3d.view_conditioning import ViewConditioning
from modeseek.metrics.bootstrap import Estimate, mean_with_interval
from modeseek.reports.table import Column, Row

TRUTH = "truth"
COLUMNS = (
    Column("plays", "Runs", "Number of optimised shapes: captions times seeds.", ".0f"),
    Column("iou", "IoU", "Silhouette overlap with the ground truth over 16 held-out views, at the best scale and "
           "height; without view conditioning, at the best rotation too.", ".3f", "high"),
    Column("right", "All right", "Share of held-out views with every attribute of the caption right, by the scene "
           "classifier.", ".2f", "high"),
    Column("object", "Object", "Share with all objects of the caption and no other.", ".2f", "high"),
    Column("colour", "Colour", "Share in which each object has its colour.", ".2f", "high"),
    Column("relation", "Relation", "Share with the right relation, of captions with two objects.", ".2f", "high"),
    Column("delta_e", "Delta E", "Mean CIELAB difference within both silhouettes.", ".1f", "low"),
    Column("psnr", "PSNR", "Held-out views against the ground truth, decibels.", ".1f", "high"),
    Column("saturation", "Saturation", "Mean HSV saturation within the silhouette.", ".3f"),
    Column("true_saturation", "True saturation", "Mean HSV saturation of the ground truth.", ".3f"),
    Column("saturation_error", "Saturation error", "Mean absolute difference of the two, shape by shape.", ".3f",
           "low"),
    Column("one_front", "One front", "Share with exactly one front face, of captions that have one: sides that "
           "correlate best with the true front. Blind to a smeared face.", ".2f", "high"),
    Column("fronts", "Fronts", "Mean number of front faces: 1 is right, more is the Janus problem.", ".2f"),
    Column("one_front_judged", "One front, judged", "The same by the scene classifier, without the ground truth: sides "
           "that it classifies as the front of the object. Specks mislead it.", ".2f", "high"),
    Column("fronts_judged", "Fronts, judged", "Mean number of front faces by the scene classifier.", ".2f"),
    Column("watertight", "Watertight", "Share with a closed mesh.", ".2f", "high"),
    Column("steps", "Steps", "Number of optimisation steps.", ".0f"),
    Column("calls", "Calls", "Prior calls of a run, counted per view; a guided evaluation is two.", ",.0f"),
    Column("seconds", "Seconds", "Optimisation time of a run, without previews and meshes.", ".1f"),
)  # fmt: skip
_FRONTS = ("plays", "one_front", "fronts", "one_front_judged", "fronts_judged", "iou", "right")
_SURE = ("plays", "steps", "calls", "seconds")  # exact: no interval
_SHARES = ("iou", "right", "object", "colour", "relation", "one_front", "one_front_judged", "watertight")


@dataclass(frozen=True)
class TextTo3DJobResult:
    """Measures of a finished job.

    Attributes:
        job: the job.
        measures: measures by key of `COLUMNS`; absent where they do not apply.
    """

    job: TextTo3DJob
    measures: Mapping[str, float]


def main_table(
    plan: TextTo3D, results: Sequence[TextTo3DJobResult], truth: Mapping[int, Mapping[str, float]]
) -> MetricTable:
    """Metrics of the ground truth and of each entry under the first view conditioning.

    Args:
        plan: the plan.
        results: finished jobs.
        truth: measures of the ground truth by caption number.
    """
    rows = [Row(TRUTH, _values(list(truth.values()), plan.seed), reference=True)]
    for entry in plan.entries:
        measures = measures_of(results, entry, plan.conditionings[0])
        if measures:
            rows.append(Row(entry.name, {"plays": float(len(measures))} | _values(measures, plan.seed)))
    return MetricTable(COLUMNS, tuple(rows))


def fronts_table(plan: TextTo3D, results: Sequence[TextTo3DJobResult]) -> MetricTable:
    """Metrics of captions with a front face, a row per entry and view conditioning: `entry@conditioning`."""
    rows = []
    for entry in plan.entries:
        for conditioning in plan.conditionings:
            measures = [values for values in measures_of(results, entry, conditioning) if "fronts" in values]
            if measures:
                values = {"plays": float(len(measures))} | _values(measures, plan.seed)
                rows.append(Row(f"{entry.name}@{conditioning.name}", values))
    return MetricTable(tuple(column for column in COLUMNS if column.key in _FRONTS), tuple(rows))


def measures_of(
    results: Sequence[TextTo3DJobResult], entry: TextTo3DEntry, conditioning: ViewConditioning
) -> list[Mapping[str, float]]:
    """Measures of the finished jobs of one entry under one view conditioning."""
    return [
        result.measures for result in results if (result.job.entry, result.job.conditioning) == (entry, conditioning)
    ]


def estimate(key: str, values: Sequence[float], seed: int) -> Estimate:
    """Mean of a measure over jobs, and its interval by resampling jobs.

    Intervals of shares are clipped to [0, 1]. Where all values are equal there is no interval.
    """
    if key in _SURE or min(values) == max(values):
        return Estimate(sum(values) / len(values))
    mean = mean_with_interval(torch.tensor(values, dtype=torch.float64), seed=seed)
    if key in _SHARES and mean.interval is not None:
        return Estimate(mean.value, (max(0.0, mean.interval[0]), min(1.0, mean.interval[1])))
    return mean


def _values(measures: Sequence[Mapping[str, float]], seed: int) -> dict[str, float]:
    """Values of a row: means and interval bounds."""
    by_key = {column.key: [job[column.key] for job in measures if column.key in job] for column in COLUMNS}
    return flatten({key: estimate(key, values, seed) for key, values in by_key.items() if values})
