"""Summary of the results in sentences: paired comparisons at equal caption and seed, and counts of front faces."""

from __future__ import annotations

import torch

from modeseek.experiments.text_to_3d.jobs import ShapeResults
from modeseek.experiments.text_to_3d.metrics import METRICS
from modeseek.experiments.text_to_3d.plan import TextTo3D
from modeseek.experiments.text_to_3d.representations import Variant
from modeseek.metrics.bootstrap import mean_with_interval

_FEWEST = 3


def summarise(plan: TextTo3D, results: ShapeResults) -> tuple[str, ...]:
    """Summary sentences: the settings, paired comparisons, front faces.

    MSD (else the first method) is compared with each other method on the same representation, and the representations
    of each method with the first one.
    """
    lines = [
        f"{len(plan.captions)} captions, {len(plan.with_front)} of them with a front face, {plan.seeds} "
        f"seed{'s' * (plan.seeds > 1)} each; {plan.call_budget:,} prior calls per view for every method, "
        f"{plan.views} views per step{_inner_steps(plan)}. The prior is {plan.conditionings[0].note}."
    ]
    variants = [variant for variant in plan.variants if results.where(variant=variant)]
    main = next((variant for variant in variants if variant.entry.name.startswith("msd")), variants[0])
    for shape in plan.representations:
        chosen = Variant(main.entry, shape)
        others = [v for v in variants if v.representation == shape and v != chosen]
        lines += [compare(plan, results, chosen, other) for other in others if chosen in variants]
    first, *further = plan.representations
    pairs = [(Variant(entry, shape), Variant(entry, first)) for shape in further for entry in plan.entries]
    lines += [compare(plan, results, a, b) for a, b in pairs if a in variants and b in variants]
    return (*lines, *_fronts(plan, results, variants))


def _inner_steps(plan: TextTo3D) -> str:
    """Clause about the optimizer steps per direction; empty where no method takes more than one."""
    numbers = sorted({plan.config(job).inner_steps for job in plan.jobs()})
    if numbers[-1] == 1:
        return ""
    return f", {' or '.join(map(str, numbers))} optimizer steps per direction"


def compare(plan: TextTo3D, results: ShapeResults, a: Variant, b: Variant) -> str:
    """Paired comparison of variant a with b, over jobs that both finished under the first view conditioning."""
    sides = [
        {(r.job.caption, r.job.seed): r.measures for r in results.where(variant=variant, views=plan.conditionings[0])}
        for variant in (a, b)
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


def _fronts(plan: TextTo3D, results: ShapeResults, variants: list[Variant]) -> list[str]:
    lines = []
    for conditioning in plan.conditionings:
        for key, by in (("one_front", "against the ground truth"), ("one_front_judged", "by the scene classifier")):
            parts = []
            for variant in variants:
                values = results.where(variant=variant, views=conditioning).values(key)
                if values:
                    parts.append(f"{variant.title} {sum(values):.0f} of {len(values)}")
            if parts:
                lines.append(f"Exactly one front face {by}, prior {conditioning.note}: {', '.join(parts)}.")
    return lines
