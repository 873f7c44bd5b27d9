"""Findings of the experiment on quality against calls in sentences, and its caveats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modeseek.experiments.common.entries import Entry
from modeseek.experiments.quality.comparison import reach
from modeseek.experiments.quality.entries import BASELINE
from modeseek.experiments.quality.measure import ScoredCell
from modeseek.experiments.quality.plan import Quality
from modeseek.experiments.quality.tuning import TunedEntry
from modeseek.experiments.text_to_image.plan import OPTIMISED
from modeseek.reports.table import Column


def summarise(plan: Quality, cells: Sequence[ScoredCell], main: Column) -> tuple[str, ...]:
    """Settings; the best two methods at each budget; the budget at which each method reaches the baseline's largest.

    Args:
        plan: the plan.
        cells: measured cells.
        main: main score.
    """
    optimised = [cell for cell in cells if cell.cell.entry.make is not None]
    rates = "fixed learning rates"
    if plan.tuning is not None:
        n = len(plan.tuning.prompts)
        rates = f"learning rates tuned on {n} other prompt{'s' * (n > 1)} at {plan.tuning.budget} calls"
    lines = [
        f"{len(plan.prompts)} prompts, {plan.seeds} seed{'s' * (plan.seeds > 1)} each. Each image is "
        f"{OPTIMISED[plan.generator]}, optimised by Adam at {rates}; guidance {plan.scale:g}."
    ]
    for budget in sorted({cell.cell.budget for cell in optimised}):
        found = [(c.mean(main.key).value, c.cell.entry.title) for c in optimised if c.cell.budget == budget]
        order = sorted(found, reverse=main.best == "high")
        texts = [f"{title} with {value:{main.spec}}" for value, title in order[:3]]
        lines.append(f"Best {main.heading} at {budget} calls: {', then '.join(texts)}.")
    goal = max(
        (cell for cell in optimised if cell.cell.entry.name == BASELINE),
        key=lambda cell: cell.cell.budget,
        default=None,
    )
    if goal is not None:
        for entry in plan.entries:
            own = [cell for cell in optimised if cell.cell.entry.name == entry.name and cell != goal]
            sentence = reach(own, goal, main)
            if sentence is not None:
                lines.append(sentence)
    return tuple(lines)


def caveats(plan: Quality, cells: Sequence[ScoredCell], tuned: Mapping[str, TunedEntry]) -> tuple[str, ...]:
    """Sentences on missing images and comparisons, and on learning rates at the edge of those tried."""
    lines = []
    expected = plan.seeds * len(plan.prompts)
    by_budget: dict[int, list[int]] = {}
    for cell in cells:
        by_budget.setdefault(cell.cell.budget, []).append(len(cell.items))
    fewer = [f"{min(ns)} of {expected} at {budget}" for budget, ns in sorted(by_budget.items()) if min(ns) < expected]
    if fewer:
        lines.append(f"Not finished: images per method so far {', '.join(fewer)} calls; the rest has {expected}.")
    missing = [budget for budget in plan.budgets if budget not in by_budget]
    if missing:
        lines.append(f"Not finished: no image yet at {', '.join(map(str, missing))} calls.")
    if BASELINE not in {cell.cell.entry.name for cell in cells}:
        lines.append(f"Comparisons are missing: they need {BASELINE}; rerun with the same --out and it in --methods.")
    if len(plan.prompts) < 3:
        lines.append(f"{len(plan.prompts)} prompts are too few for intervals: resampling needs three.")
    if plan.tuning is not None:
        lines += _tuning_caveats(plan.entries, plan.tuning.rates, tuned)
    return tuple(lines)


def _tuning_caveats(entries: Sequence[Entry], rates: Sequence[float], tuned: Mapping[str, TunedEntry]) -> list[str]:
    lines = []
    for word, edge in (("lowest", min(rates)), ("highest", max(rates))):
        titles = [e.title for e in entries if e.name in tuned and tuned[e.name].best.lr == edge]
        if titles and len(set(rates)) > 1:
            lines.append(
                f"The chosen rate is the {word} tried ({edge:g}) for {', '.join(titles)}: a {word[:-3]}er one may be "
                "better; extend --rates."
            )
    lost = [entry.title for entry in entries if entry.name not in tuned]
    if lost:
        lines.append(f"Not tuned, since every run of the tuning failed: {', '.join(lost)}.")
    return lines
