"""Entry of an experiment: a method with its settings, under a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modeseek.methods.base import Method
from modeseek.methods.sdi import SDI
from modeseek.runs.count_calls import count_prior_calls

MakeMethod = Callable[[float, bool], Method]


@dataclass(frozen=True)
class Entry:
    """Method of an experiment.

    Attributes:
        name: name on the command line, in folders and tables.
        title: display title.
        note: description, one sentence.
        make: function of the guidance scale, and of whether the prior is a pipeline (else it is exact, conditioned on
            labels), that makes the method; None samples with DDIM.
        also: citation keys beside those of the method.
        lr: learning rate of Adam for images; the default is tuned at equal prior calls.
        fall: final learning rate of an image relative to `lr`, in (0, 1]; 1 is constant.
        inner_steps: number of optimizer steps of an image towards the target of each direction, >= 1.
    """

    name: str
    title: str
    note: str
    make: MakeMethod | None
    also: tuple[str, ...] = ()
    lr: float = 0.01
    fall: float = 1.0
    inner_steps: int = 1

    def method(self, scale: float, pipeline: bool = True) -> Method:
        """Builds the method.

        Args:
            scale: guidance scale; 1 is none.
            pipeline: whether the prior is a pipeline.

        Raises:
            ValueError: the entry samples.
        """
        if self.make is None:
            raise ValueError(f"{self.name} samples: it has no method")
        return self.make(scale, pipeline)

    @property
    def guides(self) -> bool:
        """Whether the method guides by itself; else it uses a guided prior."""
        return self.make is not None and self.method(1.0).guides

    @property
    def references(self) -> tuple[str, ...]:
        """Citation keys."""
        return self.also if self.make is None else (*self.method(1.0).references, *self.also)

    def calls(self, scale: float, pipeline: bool = True) -> tuple[int, int]:
        """Prior calls per row, before the first step and in each step; of a sampler, in each of its steps."""
        if self.make is None:
            return 0, 1 if scale == 1 else 2
        return count_prior_calls(self.method(scale, pipeline), scale, not self.guides)


def fixed(method: Method) -> MakeMethod:
    """Function for a method that depends on neither the guidance scale nor the prior."""
    return lambda scale, pipeline: method


def sdi(scale: float, pipeline: bool) -> SDI:
    """SDI with 3 inversion steps without guidance."""
    return SDI(scale=scale, inversion_scale=1.0, inversion_steps=3)


def sdi_negative(scale: float, pipeline: bool) -> SDI:
    """SDI with 10 inversion steps at the negative guidance scale."""
    return SDI(scale=scale, inversion_scale=1.0 if scale == 1 else -scale)


def affordable_steps(entry: Entry, budget: int, calls: tuple[int, int]) -> int:
    """Number of steps that a budget of prior calls allows.

    Args:
        entry: the entry.
        budget: prior calls per image or view.
        calls: prior calls before the first step and in each step.

    Raises:
        ValueError: fewer than two.
    """
    first, each = calls
    steps = (budget - first) // each
    if steps < 2:
        raise ValueError(
            f"a budget of {budget} prior calls is too small: two steps of {entry.name} take {first + 2 * each}; raise "
            "--budget or --steps"
        )
    return steps


def check_least(least: int, **values: int | None) -> None:
    """Raises ValueError if a setting is below the least valid value; None is valid."""
    for name, value in values.items():
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}; raise it")
