"""Whether a run was still moving at its end: only where mean shift can tell."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from modeseek.config.config import read_config
from modeseek.reports.still_moving import still_moving

FIXED = {"msd": {"bandwidth": {"fixed": {"h": 0.1}}}}
ADAPTIVE = {"msd": {"bandwidth": {"adaptive": {"end": 0.1}}}}
ALONG = {"msd": {"bandwidth": "along"}}


def rows(shift: Callable[[int], Any], bandwidth: Callable[[int], Any] = lambda k: 0.1, n: int = 100) -> list[Any]:
    return [{"step": k, "relative_shift": shift(k), "bandwidth": bandwidth(k)} for k in range(n)]


def falling(k: int) -> float:
    return math.exp(-k / 30)


@pytest.mark.parametrize(
    ("method", "metrics", "text"),
    [
        (FIXED, rows(falling), "the relative shift, 0.037, is above tol = 0.0001 and still falling"),
        (FIXED, rows(lambda k: math.exp(-k / 8)), ""),  # below the tolerance
        (FIXED, rows(lambda k: 0.2 + falling(3 * k)), ""),  # it levelled off: the generator cannot follow
        (FIXED, rows(lambda k: 0.2 - 0.001 * k / 100), ""),  # hardly falling
        (FIXED, rows(falling, n=39), ""),  # too short
        (FIXED, rows(lambda k: None), ""),
        (FIXED, [{"step": k} for k in range(100)], ""),
        ({"msd": {"bandwidth": {"fixed": {"h": 0.1}}, "tol": 0.0}}, rows(falling), ""),  # no tolerance
        (ADAPTIVE, rows(falling, lambda k: 0.5), "the bandwidth ended at 0.5 and has not reached 0.1"),
        (ADAPTIVE, rows(lambda k: 1e-6), ""),
        (ALONG, rows(falling, lambda k: 5.0 - 0.04 * k), ""),  # the bandwidth changes to the last step
        ("sds", rows(falling), ""),
    ],
)
def test_it_is_said_where_the_metrics_hold_it(method: Any, metrics: list[Any], text: str) -> None:
    config = read_config({"prior": {"problem": {"name": "ring"}}, "method": method})
    said = still_moving(config, metrics)
    assert said == (f"Still moving: {text}" if text else "")
