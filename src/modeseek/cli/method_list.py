"""`modeseek methods`: list of the methods with formula, paper and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from modeseek.cli.settings_help import summary
from modeseek.config.registry import METHODS
from modeseek.datasets.toy2d import ring
from modeseek.experiments.toy2d.benchmark import prior_calls
from modeseek.experiments.toy2d.entries import Descent, ToyEntry, ToyTask
from modeseek.experiments.toy2d.entries_all import ALL_ENTRIES
from modeseek.experiments.toy2d.toy2d import Toy2DPlan


@dataclass(frozen=True)
class MethodsCommand:
    """List the methods: paper, formula, and prior calls per step and row, without and with guidance.

    Costs are measured with the settings of `modeseek compare`; `modeseek list methods NAME` shows the settings of one.
    """

    def run(self, argv: Sequence[str]) -> None:
        """Prints two lines per method."""
        width = max(map(len, METHODS)) + 2
        tasks = [Toy2DPlan(ring(), (), label="each", scale=scale).task(ring().prior) for scale in (1.0, 3.0)]
        for name, cls in METHODS.items():
            print(f"{name:<{width}}{summary(cls)}")
            entry = ALL_ENTRIES.get(name)
            if entry is not None:
                print(f"{'':<{width}}{_cost(entry, tasks)}")
        print("\nmodeseek list methods NAME shows the settings of one, modeseek cite NAME its paper.")


def _cost(entry: ToyEntry, tasks: Sequence[ToyTask]) -> str:
    algorithms = [(entry.algorithm(task), task) for task in tasks]
    (plain, _), (guided, _) = counts = [
        _calls(algorithm, task) for algorithm, task in algorithms if isinstance(algorithm, Descent)
    ]
    first = f", {counts[0][1]} before the first step" if counts[0][1] else ""
    unit = "call" if plain == 1 else "calls"
    return f"{plain} {unit} a step" + ("" if guided == plain else f", {guided} guided") + first


def _calls(algorithm: Descent, task: ToyTask) -> tuple[int, int]:
    with torch.no_grad():
        first, each = prior_calls(algorithm, task)
    return each, first
