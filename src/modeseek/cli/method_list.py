"""`modeseek methods`: list of the methods with formula, paper and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modeseek.cli.settings_help import summary
from modeseek.datasets.toy2d import ring
from modeseek.experiments.toy2d.entries_all import ALL_ENTRIES
from modeseek.experiments.toy2d.toy2d import Toy2DPlan
from modeseek.methods import METHODS


@dataclass(frozen=True)
class MethodsCommand:
    """List the methods: paper, formula, and prior calls per step and row, without and with guidance.

    Costs are measured with the settings of `modeseek benchmark`; `modeseek list methods NAME` has the settings of one.
    """

    def run(self, argv: Sequence[str]) -> None:
        """Prints two lines per method."""
        width = max(map(len, METHODS)) + 2
        for name, cls in METHODS.items():
            first, plain, guided = count_calls(name)
            with_guidance = "" if guided == plain else f", {guided} guided"
            before = f", {first} before the first step" if first else ""
            cost = f"{plain} {'call' if plain == 1 else 'calls'} per step{with_guidance}{before}"
            print(f"{name:<{width}}{summary(cls)}\n{'':<{width}}{cost}")
        print("\nmodeseek list methods NAME shows the settings of one, modeseek cite NAME its paper.")


def count_calls(name: str) -> tuple[int, int, int]:
    """Prior calls per row of a method: before the first step, in each step, and in each step with guidance."""
    tasks = [Toy2DPlan(ring(), (), label="each", scale=scale).task(ring().prior) for scale in (1.0, 3.0)]
    (first, plain), (_, guided) = (ALL_ENTRIES[name].algorithm(task).prior_calls(task) for task in tasks)
    return first, plain, guided
