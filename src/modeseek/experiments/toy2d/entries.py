"""Entries of the toy benchmarks: tasks, algorithms and outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.meanshift.modes import Modes
from modeseek.methods.base import Method
from modeseek.priors.base import Conditions, Prior


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
    """

    prior: Prior
    starts: Float[Tensor, "n *d"]
    budget: int
    bandwidth: float
    seed: int = 0
    conditions: Conditions | None = None
    scale: float = 1.0
    classes: int = 1


@dataclass(frozen=True)
class Descent:
    """Gradient descent along the direction of a method.

    Attributes:
        method: the method.
        optimizer: optimizer of the points.
        guided: whether the method uses a guided prior.
        needs: parts of the conditions that it needs besides the target class: "null", "negative", "source".
    """

    method: Method
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    guided: bool = True
    needs: tuple[str, ...] = ()

    def complete_conditions(self, conditions: Conditions | None, classes: int) -> Conditions | None:
        """Conditions with the needed parts: the opposite class as negative, no class as source.

        Raises:
            ValueError: the method compares conditions, and there are none.
        """
        if not self.needs:
            return conditions
        if conditions is None:
            raise ValueError(
                f"{type(self.method).__name__} compares conditions: got a task without classes; add --label or remove "
                "it from the methods"
            )
        target = conditions.positive
        parts = {"negative": (target + classes // 2) % classes, "source": torch.full_like(target, -1)}
        return replace(conditions, **{name: parts[name] for name in self.needs if name in parts})


@dataclass(frozen=True)
class Sampling:
    """DDIM sampling from noise, with `steps` steps or what the budget allows."""

    steps: int = 128


@dataclass(frozen=True)
class ModeSearch:
    """Mean shift from `n_starts` samples of the prior until convergence, merged into distinct modes."""

    n_starts: int = 2000
    tol: float = 1e-6
    max_steps: int = 2000


Algorithm = Descent | Sampling | ModeSearch


@dataclass(frozen=True)
class ToyEntry:
    """Method of a toy benchmark.

    Attributes:
        name: name on the command line and in tables.
        title: display title.
        algorithm: algorithm as a function of the task.
        note: description, one sentence.
        references: citation keys.
    """

    name: str
    title: str
    algorithm: Callable[[ToyTask], Algorithm]
    note: str
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class ToyFrame:
    """Points after step `index` of `steps`."""

    index: int
    steps: int
    z: Float[Tensor, "n *d"]


@dataclass(frozen=True)
class ToyOutcome:
    """Outcome of an entry.

    Attributes:
        entry: the entry.
        z: end points, (n, *d); modes are repeated in proportion to their basin mass.
        trajectory: points from start to end, (m, n, *d), evenly thinned.
        calls: prior calls per point.
        steps: number of optimizer or sampler steps.
        seconds: run time on one core, without training of the prior and figures.
        converged: share of the points that the method itself declares converged; None where it has no criterion.
        modes: distinct modes of a mode search.
        updates: number of updates of an auxiliary network.
    """

    entry: ToyEntry
    z: Float[Tensor, "n *d"]
    trajectory: Float[Tensor, "m n *d"]
    calls: float
    steps: int
    seconds: float
    converged: float | None = None
    modes: Modes | None = None
    updates: int = 0
