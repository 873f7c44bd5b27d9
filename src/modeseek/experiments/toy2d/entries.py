"""Who takes part in a contest, by which way of playing, and where it ends."""

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
    """What all contestants are given alike.

    Attributes:
        prior: bare; only it is asked.
        starts: (n, *d).
        budget: prior calls a point.
        bandwidth: the last one of those who narrow a kernel.
        seed: of every draw.
        conditions: per start, or None.
        scale: of guidance; 1 is none.
        classes: how many there are.
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
    """A method and the optimizer that follows its direction.

    Attributes:
        method: whose direction.
        optimizer: over the points.
        guided: whether it wants a guided prior.
        needs: parts of the conditions that it asks for beside the class sought: "null", "negative", "source".
    """

    method: Method
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    guided: bool = True
    needs: tuple[str, ...] = ()

    def complete_conditions(self, conditions: Conditions | None, classes: int) -> Conditions | None:
        """What it is told: as a negative the opposite class, as a source everything.

        Raises:
            ValueError: it compares conditions, and there are none.
        """
        if not self.needs:
            return conditions
        if conditions is None:
            raise ValueError(
                f"{type(self.method).__name__} compares conditions: got a contest without classes; add --label, or "
                "leave it out of the methods"
            )
        sought = conditions.positive
        parts = {"negative": (sought + classes // 2) % classes, "source": torch.full_like(sought, -1)}
        return replace(conditions, **{name: parts[name] for name in self.needs if name in parts})


@dataclass(frozen=True)
class Sampling:
    """DDIM samples from noise, `steps` or what the budget allows."""

    steps: int = 128


@dataclass(frozen=True)
class ModeSearch:
    """Mean shift from `n_starts` samples of the prior until they arrive, merged into distinct modes."""

    n_starts: int = 2000
    tol: float = 1e-6
    max_steps: int = 2000


Algorithm = Descent | Sampling | ModeSearch


@dataclass(frozen=True)
class ToyEntry:
    """A name, and how it plays.

    Attributes:
        name: for the command line and tables.
        title: for figures.
        make: from the task to how it plays.
        note: what it is, one sentence.
        references: citation keys.
    """

    name: str
    title: str
    algorithm: Callable[[ToyTask], Algorithm]
    note: str
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class ToyFrame:
    """Points on their way: step `index` of `steps` was taken."""

    index: int
    steps: int
    z: Float[Tensor, "n *d"]


@dataclass(frozen=True)
class ToyOutcome:
    """Where a contestant ended.

    Attributes:
        contestant: who.
        z: end points, (n, *d); modes are repeated by the mass of their basins.
        trajectory: (m, n, *d), from the start to the end, evenly thinned.
        calls: prior calls a point.
        steps: of the optimizer or sampler.
        seconds: of one core, training and figures excluded.
        done: share of the points that the method itself declares finished, where it has a verdict.
        modes: the distinct modes, where they were sought.
        lessons: training steps of a network of the method's own.
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
