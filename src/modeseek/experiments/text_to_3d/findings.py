"""What one sees in the results, in sentences: by pairs of equal caption and seed, and intervals that leave 0 out."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from modeseek.experiments.text_to_3d.entries import TextTo3DEntry
from modeseek.experiments.text_to_3d.plan import TextTo3D
from modeseek.experiments.text_to_3d.table import COLUMNS, TextTo3DJobResult
from modeseek.metrics.bootstrap import mean_with_interval

_COMPARED = ("iou", "right", "delta_e", "psnr", "saturation_error")
_FEWEST = 3


def summarise(plan: TextTo3D, results: Sequence[TextTo3DJobResult]) -> tuple[str, ...]:
    """The sentences, MSD's comparisons first; without MSD the first player's."""
    with_front = len(plan.with_front)
    told = [
        f"{len(plan.captions)} captions, {with_front} of them with a front, {plan.seeds} "
        f"seed{'s' * (plan.seeds > 1)} each; {plan.call_budget:,} prior calls a view for every method, {plan.views} views at "
        f"a time. Views are {plan.conditionings[0].note}."
    ]
    entries = [entry for entry in plan.entries if any(one.job.entry == entry for one in results)]
    mine = next((entry for entry in entries if entry.name.startswith("msd")), entries[0])
    told += [compare(plan, results, mine, rival) for rival in entries if rival != mine]
    return (*told, *_fronts(plan, results, entries))


def compare(plan: TextTo3D, results: Sequence[TextTo3DJobResult], a: TextTo3DEntry, b: TextTo3DEntry) -> str:
    """Player a against b, over the plays that both finished under the first way of telling views."""
    sides = [
        {
            (one.job.caption, one.job.seed): one.measures
            for one in results
            if one.job.entry == entry and one.job.conditioning == plan.conditionings[0]
        }
        for entry in (a, b)
    ]
    pairs = sorted(sides[0].keys() & sides[1].keys())
    better, worse, level = [], [], []
    for column in (c for key in _COMPARED for c in COLUMNS if c.key == key):
        apart = [
            sides[0][pair][column.key] - sides[1][pair][column.key]
            for pair in pairs
            if column.key in sides[0][pair] and column.key in sides[1][pair]
        ]
        if len(apart) < _FEWEST:
            continue
        mean = mean_with_interval(torch.tensor(apart, dtype=torch.float64), seed=plan.seed)
        low, high = mean.interval or (float("-inf"), float("inf"))
        words = f"{column.heading} by {abs(mean.value):.2g}"
        words += f" [{min(abs(low), abs(high)):.2g}, {max(abs(low), abs(high)):.2g}]"
        if low <= 0 <= high:
            level.append(column.heading)
        elif (mean.value > 0) == (column.best == "high"):
            better.append(words)
        else:
            worse.append(words)
    counted = f"{len(pairs)} pair{'s' * (len(pairs) != 1)} of equal caption, seed and prior calls"
    if not (better or worse or level):
        return f"{a.title} against {b.title}: {counted} are too few to tell them apart."
    parts = [f"{word} in {', '.join(some)}" for word, some in (("better", better), ("worse", worse)) if some]
    if level:
        parts.append(f"no difference beyond chance in {', '.join(level)}")
    return f"{a.title} against {b.title}, {counted}: {'; '.join(parts)}."


def _fronts(plan: TextTo3D, results: Sequence[TextTo3DJobResult], entries: Sequence[TextTo3DEntry]) -> list[str]:
    told = []
    for conditioning in plan.conditionings:
        for key, by in (("one_front", "beside the truth"), ("one_front_judged", "by the judge")):
            parts = []
            for entry in entries:
                mine = [
                    one.measures[key]
                    for one in results
                    if (one.job.entry, one.job.conditioning) == (entry, conditioning) and key in one.measures
                ]
                if mine:
                    parts.append(f"{entry.title} {sum(mine):.0f} of {len(mine)}")
            if parts:
                told.append(
                    f"Exactly one front, counted {by}, where the prior is {conditioning.note}: {', '.join(parts)}."
                )
    return told
