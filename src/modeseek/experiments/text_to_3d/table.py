"""Result tables: a row per method, with intervals over captions and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modeseek.experiments.text_to_3d.jobs import ShapeResults
from modeseek.experiments.text_to_3d.metrics import METRICS, RUNS
from modeseek.experiments.text_to_3d.plan import TextTo3D
from modeseek.reports.table import Row, Table, row_values

TRUTH = "truth"
_FRONTS = ("plays", "one_front", "fronts", "one_front_judged", "fronts_judged", "iou", "right")


def main_table(plan: TextTo3D, results: ShapeResults, truth: Mapping[str, Mapping[str, float]]) -> Table:
    """Metrics of the ground truth and of each method on each representation under the first view conditioning.

    Args:
        plan: the plan.
        results: finished jobs.
        truth: measures of the ground truth by caption.
    """
    rows = [Row(TRUTH, _means(list(truth.values()), plan.seed), reference=True)]
    for variant in plan.variants:
        found = results.where(variant=variant, views=plan.conditionings[0])
        if found:
            rows.append(Row(variant.name, _values(found, plan.seed)))
    return Table((RUNS, *METRICS), tuple(rows))


def fronts_table(plan: TextTo3D, results: ShapeResults) -> Table:
    """Metrics of captions with a front face, a row per variant and view conditioning: `name@conditioning`."""
    rows = []
    for variant in plan.variants:
        for views in plan.conditionings:
            found = ShapeResults(r for r in results.where(variant=variant, views=views) if "fronts" in r.measures)
            if found:
                rows.append(Row(f"{variant.name}@{views.name}", _values(found, plan.seed)))
    return Table(tuple(column for column in (RUNS, *METRICS) if column.key in _FRONTS), tuple(rows))


def _values(results: ShapeResults, seed: int) -> dict[str, float]:
    """Values of a row: number of runs, means and interval bounds."""
    return {RUNS.key: float(len(results))} | _means([result.measures for result in results], seed)


def _means(measures: Sequence[Mapping[str, float]], seed: int) -> dict[str, float]:
    by_metric = {metric: [values[metric.key] for values in measures if metric.key in values] for metric in METRICS}
    return row_values({metric.key: metric.mean(values, seed) for metric, values in by_metric.items() if values})
