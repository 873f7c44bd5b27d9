"""Summary of the results in sentences: paired comparisons at equal caption and seed, and counts of front faces."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from modeseek.experiments.text_to_3d.entries import TextTo3DEntry
from modeseek.experiments.text_to_3d.plan import TextTo3D
from modeseek.experiments.text_to_3d.table import COLUMNS, TextTo3DJobResult, measures_of
from modeseek.metrics.bootstrap import mean_with_interval

_COMPARED = ("iou", "right", "delta_e", "psnr", "saturation_error")
_FEWEST = 3


def summarise(plan: TextTo3D, results: Sequence[TextTo3DJobResult]) -> tuple[str, ...]:
    """Summary sentences: the settings, comparisons of MSD (else of the first entry) with each other entry, fronts."""
    lines = [
        f"{len(plan.captions)} captions, {len(plan.with_front)} of them with a front face, {plan.seeds} "
        f"seed{'s' * (plan.seeds > 1)} each; {plan.call_budget:,} prior calls per view for every method, "
        f"{plan.views} views per step. The prior is {plan.conditionings[0].note}."
    ]
    entries = [entry for entry in plan.entries if any(result.job.entry == entry for result in results)]
    main = next((entry for entry in entries if entry.name.startswith("msd")), entries[0])
    lines += [compare(plan, results, main, other) for other in entries if other != main]
    return (*lines, *_fronts(plan, results, entries))


def compare(plan: TextTo3D, results: Sequence[TextTo3DJobResult], a: TextTo3DEntry, b: TextTo3DEntry) -> str:
    """Paired comparison of entry a with b, over jobs that both finished under the first view conditioning."""
    sides = [
        {
            (result.job.caption, result.job.seed): result.measures
            for result in results
            if result.job.entry == entry and result.job.conditioning == plan.conditionings[0]
        }
        for entry in (a, b)
    ]
    pairs = sorted(sides[0].keys() & sides[1].keys())
    better, worse, level = [], [], []
    for column in (c for key in _COMPARED for c in COLUMNS if c.key == key):
        differences = [
            sides[0][pair][column.key] - sides[1][pair][column.key]
            for pair in pairs
            if column.key in sides[0][pair] and column.key in sides[1][pair]
        ]
        if len(differences) < _FEWEST:
            continue
        mean = mean_with_interval(torch.tensor(differences, dtype=torch.float64), seed=plan.seed)
        low, high = mean.interval or (float("-inf"), float("inf"))
        text = f"{column.heading} by {abs(mean.value):.2g}"
        text += f" [{min(abs(low), abs(high)):.2g}, {max(abs(low), abs(high)):.2g}]"
        if low <= 0 <= high:
            level.append(column.heading)
        elif (mean.value > 0) == (column.best == "high"):
            better.append(text)
        else:
            worse.append(text)
    counted = f"{len(pairs)} pair{'s' * (len(pairs) != 1)} of equal caption, seed and prior calls"
    if not (better or worse or level):
        return f"{a.title} against {b.title}: {counted} are too few to tell them apart."
    parts = [f"{word} in {', '.join(texts)}" for word, texts in (("better", better), ("worse", worse)) if texts]
    if level:
        parts.append(f"no difference beyond chance in {', '.join(level)}")
    return f"{a.title} against {b.title}, {counted}: {'; '.join(parts)}."


def _fronts(plan: TextTo3D, results: Sequence[TextTo3DJobResult], entries: Sequence[TextTo3DEntry]) -> list[str]:
    lines = []
    for conditioning in plan.conditionings:
        for key, by in (("one_front", "against the ground truth"), ("one_front_judged", "by the scene classifier")):
            parts = []
            for entry in entries:
                values = [row[key] for row in measures_of(results, entry, conditioning) if key in row]
                if values:
                    parts.append(f"{entry.title} {sum(values):.0f} of {len(values)}")
            if parts:
                lines.append(f"Exactly one front face {by}, prior {conditioning.note}: {', '.join(parts)}.")
    return lines
