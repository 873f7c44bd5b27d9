"""Checks of annotated shapes: whatever passed before, a call that is wrong in any of its parts is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy
import pytest
import torch
from beartype import beartype
from jaxtyping import Float, Int, TypeCheckError
from shape_checks import ITEMS, jaxtyped
from torch import Tensor

check = jaxtyped(typechecker=beartype)
ROWS, LABELS = torch.zeros(3, 2), torch.zeros(3, dtype=torch.long)


@check
def total(z: Float[Tensor, "b d"], labels: Int[Tensor, "b"], result: Any = 0.0) -> float:
    return result


@check
def moved(z: Float[Tensor, "b d"], by: Any) -> Float[Tensor, "b d"]:
    return by() if callable(by) else z + by


@check
def named(kind: Literal["a", "b"], count: int = 1) -> str:
    return kind * count


@check
def listed(
    rows: list[Float[Tensor, "d"]], table: dict[str, float] | None = None, pair: tuple[int, str] = (1, "")
) -> int:
    return len(rows)


@check
def sized(shapes: tuple[tuple[int, int], ...], result: Any = ()) -> tuple[Float[Tensor, "b d"], ...]:
    return result


@check
@dataclass(frozen=True)
class Rows:
    z: Float[Tensor, "b d"]
    labels: Int[numpy.ndarray, "b"] | None = None


class Scaled:
    def __init__(self, wrong: bool) -> None:
        self.wrong = wrong

    @check
    def __call__(self, z: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        return z.sum() if self.wrong else 2 * z


def inner(wrong: bool) -> Callable[..., Any]:
    """A closure of one piece of code."""

    @check
    def add(z: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        return z[0] if wrong else z

    return add


RIGHT: list[Callable[[], Any]] = [
    lambda: total(ROWS, LABELS),
    lambda: total(z=ROWS, labels=LABELS),
    lambda: moved(ROWS, 1.0),
    lambda: moved(ROWS, lambda: ROWS),
    lambda: named("a"),
    lambda: named("b", count=2),
    lambda: listed([ROWS[0]] * 2, {"a": 1.0}, (1, "a")),
    lambda: listed([ROWS[0]] * (ITEMS + 1)),
    lambda: listed([ROWS[0]] * 2),
    lambda: sized(((3, 2), (3, 2)), (ROWS, ROWS)),
    lambda: Rows(ROWS),
    lambda: Rows(ROWS, LABELS.numpy()),
    lambda: Scaled(wrong=False)(ROWS),
    lambda: inner(wrong=False)(ROWS),
]
WRONG: dict[str, Callable[[], Any]] = {
    "axes": lambda: total(ROWS[0], LABELS),
    "axes of one name": lambda: total(ROWS, LABELS[:2]),
    "axes of one name, by keyword": lambda: total(z=ROWS, labels=LABELS[:2]),
    "dtype": lambda: total(ROWS, LABELS.float()),
    "dtype of the first": lambda: total(ROWS.long(), LABELS),
    "another kind of array": lambda: total(ROWS.numpy(), LABELS),
    "result": lambda: total(ROWS, LABELS, result="0"),
    "result of a call like one that passed": lambda: moved(ROWS, lambda: ROWS[:2]),
    "dtype of such a result": lambda: moved(ROWS, lambda: LABELS[:, None]),
    "result that follows an argument's values": lambda: Scaled(wrong=True)(ROWS),
    "result of another closure": lambda: inner(wrong=True)(ROWS),
    "value": lambda: named("c"),
    "value beside a known one": lambda: named("c", count=2),
    "kind of a keyword": lambda: named("a", count="2"),
    "items": lambda: listed([ROWS] * 2),
    "one item": lambda: listed([ROWS] * (ITEMS // 2) + [ROWS[0]] * (ITEMS // 2)),
    "items of a long list": lambda: listed([ROWS] * (ITEMS + 1)),
    "values of a table": lambda: listed([ROWS[0]] * 2, {"a": "1"}, (1, "a")),
    "keys of a table": lambda: listed([ROWS[0]] * 2, {1: 1.0}, (1, "a")),
    "part of a pair": lambda: listed([ROWS[0]] * 2, {"a": 1.0}, (1, 1)),
    "one item of a tuple": lambda: sized(((3, 2),) * (ITEMS // 2) + ((3, "2"),) * (ITEMS // 2)),
    "one result of a tuple": lambda: sized(((3, 2), (3, 2)), (ROWS, LABELS) * (ITEMS // 2)),
    "field": lambda: Rows(ROWS[0]),
    "field that does not fit another": lambda: Rows(ROWS, LABELS[:2].numpy()),
}


def refused(call: Callable[[], Any]) -> bool:
    """Whether one of 32 tries is refused: the type checker looks at one item of a list, chosen by chance."""
    for _ in range(32):
        try:
            call()
        except TypeCheckError:
            return True
    return False


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_refused_after_what_is_right(case: str) -> None:
    for _ in range(2):
        for call in RIGHT:
            call()
        assert refused(WRONG[case])
        assert refused(WRONG[case])


def test_a_call_like_one_that_passed_is_not_checked_again() -> None:
    checks = []

    def counting(fn: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: checks.append(fn) or beartype(fn)(*args, **kwargs)

    @jaxtyped(typechecker=counting)
    def double(z: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        return 2 * z

    counts = []
    for z in (ROWS, ROWS + 1, ROWS[:2], ROWS[1:], ROWS.double(), ROWS.double()):
        assert torch.equal(double(z), 2 * z)
        counts.append(len(checks))
    assert counts[0] and [b > a for a, b in zip(counts[:-1], counts[1:], strict=True)] == [
        False,
        True,
        False,
        True,
        False,
    ]


def test_checks_that_are_switched_off_refuse_nothing(unchecked: None) -> None:
    assert not refused(WRONG["axes"]) and not refused(WRONG["result"])


def test_the_package_is_checked_so() -> None:
    from modeseek import Points

    assert Points.__init__.checked_once
    for z in (ROWS, ROWS):
        assert Points(z).z.shape == z.shape
        with pytest.raises(TypeCheckError):
            Points("zeros")
