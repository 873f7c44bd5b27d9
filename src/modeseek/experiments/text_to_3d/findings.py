"""Summary of the results in sentences: paired comparisons at equal caption and seed, and counts of front faces."""

from __future__ import annotations

import torch

from modeseek.experiments.common.entries import Entry
from modeseek.experiments.text_to_3d.jobs import ShapeResults
from modeseek.experiments.text_to_3d.metrics import METRICS
from modeseek.experiments.text_to_3d.plan import TextTo3D
from modeseek.metrics.bootstrap import mean_with_interval

_FEWEST = 3


def summarise(plan: TextTo3D, results: ShapeResults) -> tuple[str, ...]:
    """Summary sentences: the settings, comparisons of MSD (else of the first entry) with each other entry, fronts."""
    lines = [
        f"{len(plan.captions)} captions, {len(plan.with_front)} of them with a front face, {plan.seeds} "
        f"seed{'s' * (plan.seeds > 1)} each; {plan.call_budget:,} prior calls per view for every method, "
        f"{plan.views} views per step{_inner_steps(plan)}. The prior is {plan.conditionings[0].note}."
    ]
    entries = [entry for entry in plan.entries if results.where(entry=entry)]
    main = next((entry for entry in entries if entry.name.startswith("msd")), entries[0])
    lines += [compare(plan, results, main, other) for other in entries if other != main]
    return (*lines, *_fronts(plan, results, entries))


def _inner_steps(plan: TextTo3D) -> str:
    """Clause about the optimizer steps per direction; empty where no method takes more than one."""
    numbers = sorted({plan.config(job).inner_steps for job in plan.jobs()})
    if numbers[-1] == 1:
        return ""
    return f", {' or '.join(map(str, numbers))} optimizer steps per direction"


def compare(plan: TextTo3D, results: ShapeResults, a: Entry, b: Entry) -> str:
    """Paired comparison of entry a with b, over jobs that both finished under the first view conditioning."""
    sides = [
        {(r.job.caption, r.job.seed): r.measures for r in results.where(entry=entry, views=plan.conditionings[0])}
        for entry in (a, b)
    ]
    pairs = sorted(sides[0].keys() & sides[1].keys())
    better, worse, level = [], [], []
    for metric in (metric for metric in METRICS if metric.summarised):
        differences = [
            sides[0][pair][metric.key] - sides[1][pair][metric.key]
            for pair in pairs
            if metric.key in sides[0][pair] and metric.key in sides[1][pair]
        ]
        if len(differences) < _FEWEST:
            continue
        mean = mean_with_interval(torch.tensor(differences, dtype=torch.float64), seed=plan.seed)
        low, high = mean.interval or (float("-inf"), float("inf"))
        text = f"{metric.heading} by {abs(mean.value):.2g}"
        text += f" [{min(abs(low), abs(high)):.2g}, {max(abs(low), abs(high)):.2g}]"
        if low <= 0 <= high:
            level.append(metric.heading)
        elif (mean.value > 0) == (metric.best == "high"):
            better.append(text)
        else:
            worse.append(text)
    counted = f"{len(pairs)} pair{'s' * (len(pairs) != 1)} of equal caption, seed and prior calls"
    if not (better or worse or level):
        return f"{a.title} against {b.title}: {counted} are too few to distinguish them."
    parts = [f"{word} in {', '.join(texts)}" for word, texts in (("better", better), ("worse", worse)) if texts]
    if level:
        parts.append(f"no difference beyond chance in {', '.join(level)}")
    return f"{a.title} against {b.title}, {counted}: {'; '.join(parts)}."


def _fronts(plan: TextTo3D, results: ShapeResults, entries: list[Entry]) -> list[str]:
    lines = []
    for conditioning in plan.conditionings:
        for key, by in (("one_front", "against the ground truth"), ("one_front_judged", "by the scene classifier")):
            parts = []
            for entry in entries:
                values = results.where(entry=entry, views=conditioning).values(key)
                if values:
                    parts.append(f"{entry.title} {sum(values):.0f} of {len(values)}")
            if parts:
                lines.append(f"Exactly one front face {by}, prior {conditioning.note}: {', '.join(parts)}.")
    return lines
