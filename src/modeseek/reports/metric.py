"""Metric of an experiment: its column of the tables together with the function that computes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch

from modeseek.metrics.bootstrap import Estimate, mean_with_interval
from modeseek.reports.table import Column

Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Metric(Column, Generic[Subject]):
    """Metric of an experiment; a list of them is the columns of its tables.

    Attributes:
        unit: "share" for values in [0, 1], to which intervals are clipped; else for readers, such as "dB".
        summarised: whether the summary of the experiment compares entries by it.
        resampled: whether its mean over runs has an interval; costs have none.
        evaluate: value for a subject, such as the images of an entry; None where the metric does not apply.
    """

    unit: str = ""
    summarised: bool = False
    resampled: bool = True
    evaluate: Callable[[Subject], Estimate | None] = field(kw_only=True)

    def mean(self, values: Sequence[float], seed: int) -> Estimate:
        """Mean of its values in several runs, with an interval by resampling runs; none where all values are equal."""
        mean = Estimate(sum(values) / len(values))
        if not self.resampled or min(values) == max(values):
            return mean
        interval = mean_with_interval(torch.tensor(values, dtype=torch.float64), seed=seed).interval
        if interval is not None and self.unit == "share":
            interval = max(0.0, interval[0]), min(1.0, interval[1])
        return Estimate(mean.value, interval)


def evaluate(metrics: Sequence[Metric[Subject]], subject: Subject) -> dict[str, Estimate]:
    """Values of the metrics that apply to a subject, by key."""
    values = {metric.key: metric.evaluate(subject) for metric in metrics}
    return {key: value for key, value in values.items() if value is not None}
