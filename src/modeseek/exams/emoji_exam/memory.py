"""Memory of a prior for the drawings it was trained on: distances of samples beside distances between the sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.datasets.emoji import Icon
from modeseek.metrics.bootstrap import Estimate
from modeseek.reports.metric import Metric, evaluate
from modeseek.reports.table import Row, Table, row_values

_LOW, _HIGH = 0.05, 0.95


@dataclass(frozen=True)
class Distances:
    """Distances of images to drawings.

    Attributes:
        values: RMS distances, [0, 1].
        limit: distance below which an image counts as recalled.
    """

    values: Float[Tensor, "n"]
    limit: float

    def quantile(self, share: float) -> Estimate:
        """Distance that this share of the images does not exceed."""
        return Estimate(self.values.quantile(share).item())

    def nearer(self) -> Estimate:
        """Share of images below the limit."""
        return Estimate((self.values < self.limit).double().mean().item())


METRICS: tuple[Metric[Distances], ...] = (
    Metric("low", "5 %", "Distance that 5 % of the images stay below: RMS difference on white, least over sizes and "
           "places of the drawing.", evaluate=lambda distances: distances.quantile(_LOW)),
    Metric("median", "Median", "Median of the distances.", evaluate=lambda distances: distances.quantile(0.5)),
    Metric("high", "95 %", "Distance that 95 % stay below.", evaluate=lambda distances: distances.quantile(_HIGH)),
    Metric("nearer", "Recalled", "Share of images nearer to a drawing than 95 % of the drawings are to the nearest one "
           "of the other set.", unit="share", evaluate=lambda distances: distances.nearer()),
    Metric("n", "Images", "Number of distances.", ".0f",
           evaluate=lambda distances: Estimate(float(len(distances.values)))),
)  # fmt: skip


def memory_table(
    samples: Float[Tensor, "n m"],
    redrawn: Float[Tensor, "k m"],
    drawings: Float[Tensor, "h m"],
    held: Int[Tensor, "h"],
    icons: Sequence[Icon],
) -> Table:
    """Table of distances: samples and re-drawn drawings to the nearest drawing, and drawings to those of the other set.

    Args:
        samples: distances of samples to all drawings.
        redrawn: distances of re-drawn drawings to all drawings.
        drawings: distances of some drawings to all.
        held: index of these drawings.
        icons: all drawings. Rows that would be empty, as with a single set, are left out.
    """
    other = torch.tensor([[icons[row].style != icon.style for icon in icons] for row in held.tolist()])
    namesake = other & torch.tensor([[icons[row].name == icon.name for icon in icons] for row in held.tolist()])
    across = drawings.masked_fill(~other, torch.inf).amin(1)
    across = across[across.isfinite()]
    limit = across.quantile(_LOW).item() if len(across) else 0.0
    found = {
        "samples": samples.amin(1),
        "re-drawn": redrawn.amin(1),
        "same name": drawings[namesake],
        "other set": across,
    }
    rows = [
        Row(name, row_values(evaluate(METRICS, Distances(values, limit))), reference=name != "samples")
        for name, values in found.items()
        if len(values)
    ]
    return Table(METRICS, tuple(rows))
