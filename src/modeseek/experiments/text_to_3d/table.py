"""From the measures of single plays to tables: a row a method, with intervals over captions and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from modeseek.experiments.common.metric_table import MetricTable, flatten
from modeseek.experiments.text_to_3d.plan import TextTo3D, TextTo3DJob
from modeseek.metrics.bootstrap import Estimate, mean_with_interval
from modeseek.reports.table import Column, Row

TRUTH = "truth"
COLUMNS = (
    Column("plays", "Plays", "Things made: captions times seeds.", ".0f"),
    Column("iou", "IoU", "Overlap of the silhouettes over 16 held-out views with the truth's, at the best size and "
           "height; where no view was told, at the best turn too.", ".3f", "high"),
    Column("right", "All right", "Share of held-out views that show all that the caption says, by the judge of "
           "scenes.", ".2f", "high"),
    Column("object", "Object", "Share with all things of the caption and no other.", ".2f", "high"),
    Column("colour", "Colour", "Share in which each thing wears its colour.", ".2f", "high"),
    Column("relation", "Relation", "Share with the right relation, of captions with two objects.", ".2f", "high"),
    Column("delta_e", "Delta E", "Mean CIELAB difference where both silhouettes are.", ".1f", "low"),
    Column("psnr", "PSNR", "Of held-out pictures against the truth's, decibels.", ".1f", "high"),
    Column("saturation", "Saturation", "Mean HSV saturation of the thing's own pixels.", ".3f"),
    Column("true_saturation", "True saturation", "The truth's.", ".3f"),
    Column("saturation_error", "Saturation error", "Mean absolute difference of the two, thing by thing.", ".3f",
           "low"),
    Column("one_front", "One front", "Share of things with exactly one front, of those that should have one: sides "
           "that correlate best with the true front. Blind to a smeared face.", ".2f", "high"),
    Column("fronts", "Fronts", "Mean number of them; 1 is right, more is Janus, 0 was never found.", ".2f"),
    Column("one_front_judged", "One front, judged", "The same by the judge of scenes, which knows no truth: sides "
           "that it calls a front of the thing. Specks deceive it.", ".2f", "high"),
    Column("fronts_judged", "Fronts, judged", "Mean number of these.", ".2f"),
    Column("watertight", "Watertight", "Share whose mesh is closed.", ".2f", "high"),
    Column("steps", "Steps", "Of the optimizer.", ".0f"),
    Column("calls", "Calls", "Prior calls a thing, one an item; guided answers are two.", ",.0f"),
    Column("seconds", "Seconds", "Optimising a thing, pictures and meshes left out.", ".1f"),
)  # fmt: skip
_FRONTS = ("plays", "one_front", "fronts", "one_front_judged", "fronts_judged", "iou", "right")
_SURE = ("plays", "steps", "calls", "seconds")  # no interval: nothing is drawn from a population
_SHARES = ("iou", "right", "object", "colour", "relation", "one_front", "one_front_judged", "watertight")


@dataclass(frozen=True)
class TextTo3DJobResult:
    """A play and what it is worth.

    Attributes:
        play: the play.
        measures: by key of `COLUMNS`; what does not apply is absent.
    """

    job: TextTo3DJob
    measures: Mapping[str, float]


def main_table(
    plan: TextTo3D, results: Sequence[TextTo3DJobResult], truth: Mapping[int, Mapping[str, float]]
) -> MetricTable:
    """A row a player under the first way of telling views, and the truth's.

    Args:
        plan: what was done.
        results: of finished plays.
        truth: what a perfect thing gets, by the caption's number.
    """
    first = [one for one in results if one.job.conditioning == plan.conditionings[0]]
    rows = [Row(TRUTH, _values(list(truth.values()), plan.seed), reference=True)]
    for entry in plan.entries:
        mine = [one.measures for one in first if one.job.entry == entry]
        if mine:
            rows.append(Row(entry.name, {"plays": float(len(mine))} | _values(mine, plan.seed)))
    return MetricTable(COLUMNS, tuple(rows))


def fronts_table(plan: TextTo3D, results: Sequence[TextTo3DJobResult]) -> MetricTable:
    """Things with a front, a row a player and a way of telling views: `player@telling`."""
    rows = []
    for entry in plan.entries:
        for conditioning in plan.conditionings:
            mine = [
                one.measures
                for one in results
                if (one.job.entry, one.job.conditioning) == (entry, conditioning) and "fronts" in one.measures
            ]
            if mine:
                values = {"plays": float(len(mine))} | _values(mine, plan.seed)
                rows.append(Row(f"{entry.name}@{conditioning.name}", values))
    return MetricTable(tuple(column for column in COLUMNS if column.key in _FRONTS), tuple(rows))


def estimate(key: str, values: Sequence[float], seed: int) -> Estimate:
    """The mean of a measure over plays, and its interval.

    It resamples plays, and shares stay within [0, 1]; plays that are all equal, which no resample spreads, have none.
    """
    if key in _SURE or min(values) == max(values):
        return Estimate(sum(values) / len(values))
    told = mean_with_interval(torch.tensor(values, dtype=torch.float64), seed=seed)
    if key in _SHARES and told.interval is not None:
        return Estimate(told.value, (max(0.0, told.interval[0]), min(1.0, told.interval[1])))
    return told


def _values(several: Sequence[Mapping[str, float]], seed: int) -> dict[str, float]:
    """Means and the edges of their intervals, as a row holds them."""
    by_key = {column.key: [one[column.key] for one in several if column.key in one] for column in COLUMNS}
    return flatten({key: estimate(key, values, seed) for key, values in by_key.items() if values})
