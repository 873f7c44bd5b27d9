"""Paired comparisons of methods with the baseline: at equal budgets, and with its images at the largest one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from modeseek.experiments.quality.measure import ScoredCell
from modeseek.metrics.bootstrap import Estimate, mean_with_interval
from modeseek.reports.table import Column, Row, Table, row_values

PAIRS = Column("pairs", "Pairs", "Images of both methods of equal prompt and seed.", ".0f")


def gain(cell: ScoredCell, base: ScoredCell, column: Column) -> Estimate | None:
    """Mean gain of a cell's images over a baseline's of equal prompt and seed; positive is better.

    Its 95 % interval is from resampling prompts; None without a pair.
    """
    mine, others = (dict(zip(c.items, c.values(column.key).tolist(), strict=True)) for c in (cell, base))
    pairs = sorted(mine.keys() & others.keys())
    if not pairs:
        return None
    sign = -1.0 if column.best == "low" else 1.0
    gains = torch.tensor([sign * (mine[pair] - others[pair]) for pair in pairs], dtype=torch.float64)
    return mean_with_interval(gains, torch.tensor([prompt for prompt, _ in pairs]), cell.seed)


def comparison_table(cells: Sequence[ScoredCell], baseline: str, columns: Sequence[Column]) -> Table:
    """Gains over the baseline at its equal budget, a row per cell of the other methods.

    Args:
        cells: measured cells.
        baseline: name of the method that is compared with.
        columns: columns of the scorer.
    """
    bases = {cell.cell.budget: cell for cell in cells if cell.cell.entry.name == baseline}
    title = next((cell.cell.entry.title for cell in bases.values()), baseline)
    gains = tuple(
        Column(f"gain_{column.key}", f"{column.heading}, gain", f"Mean gain in {column.heading} over {title} at the "
               "same budget, positive is better, with its 95 % interval by resampling prompts.", column.spec, "high")
        for column in columns
    )  # fmt: skip
    rows = []
    for cell in cells:
        base = bases.get(cell.cell.budget)
        if base is None or cell.cell.entry.name == baseline:
            continue
        pairs = len(set(cell.items) & set(base.items))
        found = {f"gain_{column.key}": gain(cell, base, column) for column in columns}
        values = row_values({key: estimate for key, estimate in found.items() if estimate is not None})
        rows.append(Row(cell.cell.name, values | {PAIRS.key: float(pairs)}, cell.cell.entry.make is None))
    return Table((*gains, PAIRS), tuple(rows))


def reach(cells: Sequence[ScoredCell], goal: ScoredCell, column: Column) -> str | None:
    """Sentence on the least budget at which a method is not shown to be worse than the images of a goal.

    None without cells, or where prompts are too few for an interval.

    Args:
        cells: cells of one method, budgets ascending.
        goal: images of the baseline at its largest budget.
        column: score compared.
    """
    gains = [(cell, found) for cell in cells if (found := gain(cell, goal, column)) and found.interval is not None]
    if not gains:
        return None
    reached = [(cell, found) for cell, found in gains if found.interval is not None and found.interval[1] >= 0]
    cell, found = (reached or gains[::-1])[0]
    low, high = found.interval or (found.value, found.value)
    spec, title = column.spec, cell.cell.entry.title
    target = f"{goal.cell.entry.title} after {goal.cell.budget} calls"
    scores = (
        f"{column.heading} {cell.mean(column.key).value:{spec}} against {goal.mean(column.key).value:{spec}}, gain "
        f"{found.value:+{spec}} [{low:+{spec}}, {high:+{spec}}]"
    )
    if reached:
        return f"{title} at {cell.cell.budget} calls is not shown to be worse than {target}: {scores}."
    return f"{title} stays worse than {target} up to {cell.cell.budget} calls: {scores}."
