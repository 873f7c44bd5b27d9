"""Entries of the toy benchmarks: tasks, algorithms and outcomes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.toy2d.settings import OptimizerSetting
from modeseek.io.progress import Progress
from modeseek.methods.base import Method
from modeseek.priors.base import Conditions, Prior
from modeseek.reports.method_notes import method_note


@dataclass(frozen=True)
class ToyTask:
    """Task given to every entry.

    Attributes:
        prior: bare prior.
        starts: start points, (n, *d).
        budget: prior calls per point.
        bandwidth: last kernel bandwidth.
        seed: random seed.
        conditions: condition of each start, or None.
        scale: guidance scale; 1 is none.
        classes: number of classes; 1 without classes.
        clouds: stream of each cloud of points, of which the starts are so many, one after the other; what is drawn for
            a cloud is determined by `seed` and its stream alone.
        steps: number of steps of a descent; None takes as many as the budget allows.
    """

    prior: Prior
    starts: Float[Tensor, "n *d"]
    budget: int
    bandwidth: float
    seed: int = 0
    conditions: Conditions | None = None
    scale: float = 1.0
    classes: int = 1
    clouds: tuple[int, ...] = (0,)
    steps: int | None = None


class Algorithm(ABC):
    """Algorithm of an entry on one task.

    Attributes:
        method: method whose direction it descends; None for a reference, which is never marked best.
        needs: parts of the conditions that it needs besides the target class: "null", "negative", "source".
        couples: whether a point depends on the other points, as by repulsion or a network trained on all of them.
        setting: optimizer of the points with its learning rate; None for a reference.
        flows: whether DDIM's step lengths are a setting of its method.
    """

    method: Method | None
    needs: tuple[str, ...]
    couples: bool
    setting: OptimizerSetting | None
    flows: bool

    def trying(self, settings: tuple[OptimizerSetting, ...]) -> Algorithm:
        """The algorithm with settings of one optimizer side by side; a reference, which has none, as it is."""
        return self

    @abstractmethod
    def prior_calls(self, task: ToyTask) -> tuple[int, int]:
        """Prior calls per point, before the first step and in each; ValueError if it cannot run on the task at all."""

    @abstractmethod
    def run(self, entry: ToyEntry, task: ToyTask, calls: tuple[int, int]) -> Generator[Progress, None, ToyOutcome]:
        """Runs on the task, at the prior calls of `prior_calls`, and yields the progress of each step."""


class Reference(Algorithm):
    """Algorithm without a direction."""

    method = None
    needs = ()
    couples = False
    setting = None
    flows = False


@dataclass(frozen=True)
class ToyEntry:
    """Method of a toy benchmark.

    Attributes:
        name: name on the command line and in tables.
        title: display title.
        algorithm: algorithm as a function of the task.
        settings: description of its settings, or of the algorithm if it has no method; sentences.
        descends: class of the method that it descends along; None for a reference.
        also: citation keys beside those of the method.
        edits: whether it edits the points of a source class, and does not sample.
    """

    name: str
    title: str
    algorithm: Callable[[ToyTask], Algorithm]
    settings: str = ""
    descends: type[Any] | None = None  # Method: issubclass refuses a protocol with data
    also: tuple[str, ...] = ()
    edits: bool = False

    @property
    def note(self) -> str:
        """Description: the method's formula, and the settings."""
        return self.settings if self.descends is None else f"{method_note(self.descends)} {self.settings}".strip()

    @property
    def references(self) -> tuple[str, ...]:
        """Citation keys."""
        return self.also if self.descends is None else (*self.descends.references, *self.also)

    def run(self, task: ToyTask) -> Generator[Progress, None, ToyOutcome]:
        """Runs the algorithm on a task; yields the progress of each step.

        Raises:
            ValueError: see `check`.
        """
        calls = self.check(task)
        return (yield from self.algorithm(task).run(self, task, calls))

    def check(self, task: ToyTask) -> tuple[int, int]:
        """Prior calls per point, before the first step and in each.

        Raises:
            ValueError: the task is invalid, its budget is below two steps, or its conditions do not fit.
        """
        if not 0 < task.bandwidth < float("inf"):
            raise ValueError(
                f"bandwidth must be positive and finite, got {task.bandwidth}; leave it out for the default"
            )
        first, each = self.algorithm(task).prior_calls(task)
        least = first + 2 * each
        if task.budget < least:
            raise ValueError(
                f"a budget of {task.budget} prior calls per point is too small: two steps of {self.name} take {least}; "
                f"pass at least {least}"
            )
        return first, each


@dataclass(frozen=True)
class ToyOutcome:
    """Outcome of an entry.

    Attributes:
        entry: the entry.
        z: end points, (n, *d); modes are repeated in proportion to their basin mass.
        trajectory: points from start to end, (m, n, *d), evenly thinned.
        calls: prior calls per point.
        seconds: run time on one core, without training of the prior and figures.
        converged: share of the points that the method itself declares converged; None where it has no criterion.
        updates: number of updates of an auxiliary network.
    """

    entry: ToyEntry
    z: Float[Tensor, "n *d"]
    trajectory: Float[Tensor, "m n *d"]
    calls: float
    seconds: float
    converged: float | None = None
    updates: int = 0
