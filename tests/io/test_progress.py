"""`relay`: every item reported, the result returned, the generator closed."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from modeseek.io.progress import Progress, relay


def work(log: list[str], fail: bool = False) -> Generator[int, None, str]:
    try:
        yield 1
        if fail:
            raise ValueError("broken")
        yield 2
        return "result"
    finally:
        log.append("closed")


def relayed(log: list[str], fail: bool = False) -> Generator[Progress, None, str]:
    result = yield from relay(work(log, fail), lambda item: Progress("stage", item, 2))
    log.append("after")
    return result


def test_items_and_result_pass_through() -> None:
    log: list[str] = []
    steps = relayed(log)
    assert [next(steps).done, next(steps).done] == [1, 2] and not log
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == "result" and log == ["closed", "after"]


def test_closing_and_errors_reach_the_generator() -> None:
    log: list[str] = []
    inner = work(log)  # held, so that only closing ends it
    steps = relay(inner, lambda item: Progress("stage", item, 2))
    next(steps)
    steps.close()
    assert log == ["closed"]
    with pytest.raises(ValueError, match="broken"):
        list(relayed(log, fail=True))
    assert log == ["closed", "closed"]
