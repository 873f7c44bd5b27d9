"""Axes of charts: linear or logarithmic, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_TICKS = 5  # approximate number per axis
_DECADES = 2  # positive values that span more are drawn on a logarithmic axis
_SMALLEST = 1e-280  # below it steps between ticks underflow
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class ChartAxis:
    """Linear or logarithmic mapping of values to an axis.

    Attributes:
        low: value at the start; its decimal logarithm if `log`.
        high: value at the end; its decimal logarithm if `log`.
        log: whether the axis is logarithmic.
    """

    low: float
    high: float
    log: bool = False

    def position(self, value: float) -> float:
        """Position of a value along the axis, in [0, 1]; on a logarithmic axis values <= 0 lie at its start."""
        if self.log:
            value = math.log10(value) if value > 0 else self.low
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Position and label of each tick."""
        if self.log:
            first, last = math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9)
            stride = max(1, math.ceil((last - first) / _TICKS))
            return [((n - self.low) / (self.high - self.low), _power(n)) for n in range(first, last + 1, stride)]
        step = _round_step((self.high - self.low) / _TICKS)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        values = [n * step for n in range(first, last + 1)]
        return [(self.position(v), label) for v, label in zip(values, _labels(values, step), strict=True)]


def axis_for(values: Sequence[float], log: bool | None = None) -> ChartAxis:
    """The axis that covers these values.

    Args:
        values: finite values, at least one.
        log: whether the axis is logarithmic; None for logarithmic if no value is negative and the positive ones span
            more than two decades.
    """
    positive = [v for v in values if v > 0]
    if log is None:
        log = min(values) >= 0 and bool(positive) and math.log10(max(positive)) - math.log10(min(positive)) > _DECADES
    if log:
        return ChartAxis(math.log10(min(positive)) - 0.05, math.log10(max(positive)) + 0.1, log=True)
    low, high = min(values), max(values)
    size = max(abs(low), abs(high))
    if high - low <= 1e-9 * size or size < _SMALLEST:  # a single value, in the middle of the axis
        margin = 0.5 * size if size >= _SMALLEST else 1.0
        return ChartAxis(low - margin, high + margin)
    if 0 <= low < 0.4 * high:
        low = 0.0
    margin = 0.04 * (high - low)
    return ChartAxis(low if low == 0 else low - margin, high + margin)


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, not below `least`."""
    power = math.floor(math.log10(least))
    return next((m * 10.0**power for m in (1, 2, 5) if m * 10.0**power >= least * (1 - 1e-9)), 10.0 ** (power + 1))


def _labels(values: Sequence[float], step: float) -> list[str]:
    """Labels with equally many decimals; thousands and millions as k and M, very small or large values times 10ⁿ."""
    size = max(map(abs, values))
    if size >= 1e15 or size < 1e-3:
        power = math.floor(math.log10(size)) if size > 0 else 0
        return [
            f"{text}·{_power(power)}" if v else "0" for v, text in zip(values, _fixed(values, step, power), strict=True)
        ]
    if size >= 1e4:
        unit, letter = next((u, s) for u, s in _UNITS if size >= u)
        return [
            f"{t}{letter}" if v else "0"
            for v, t in zip(values, _fixed(values, step, round(math.log10(unit))), strict=True)
        ]
    return _fixed(values, step, 0)


def _fixed(values: Sequence[float], step: float, power: int) -> list[str]:
    decimals = max(0, power - math.floor(math.log10(step) + 1e-9))
    return [f"{v / 10.0**power:.{decimals}f}".replace("-", "−") for v in values]


def _power(n: int) -> str:
    """10ⁿ as a label, as a decimal for -3 <= n <= 3."""
    if -3 <= n <= 3:
        return f"{10.0**n:.{max(0, -n)}f}"
    return "10" + str(n).translate(_RAISED)
