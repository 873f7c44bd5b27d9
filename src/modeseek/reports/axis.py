"""Axes of charts: linear or logarithmic, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_TICKS = 5  # about so many an axis
_DECADES = 2  # positive values that span more are drawn on a logarithmic axis
_LEAST = 1e-280  # below it steps between ticks underflow
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class ChartAxis:
    """Where values lie between the two ends of an axis.

    Attributes:
        low: value at its start; its decimal logarithm where `log`.
        high: value at its end, likewise.
        log: whether equal lengths are equal ratios.
    """

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Share of the axis before this value, in [0, 1]; on a logarithmic axis 0 lies at its start."""
        if self.log:
            value = math.log10(value) if value > 0 else self.low
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Place and text of each."""
        if self.log:
            first, last = math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9)
            every = max(1, math.ceil((last - first) / _TICKS))
            return [((n - self.low) / (self.high - self.low), _power(n)) for n in range(first, last + 1, every)]
        step = _round_step((self.high - self.low) / _TICKS)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        values = [n * step for n in range(first, last + 1)]
        return [(self.place(v), text) for v, text in zip(values, _texts(values, step), strict=True)]


def axis_for(values: Sequence[float], log: bool | None = None) -> ChartAxis:
    """The axis that shows all these finite values.

    Args:
        values: at least one.
        log: as told; None decides: logarithmic where none is negative and the positive ones span over two decades.
    """
    above = [v for v in values if v > 0]
    if log is None:
        log = min(values) >= 0 and bool(above) and math.log10(max(above)) - math.log10(min(above)) > _DECADES
    if log:
        return ChartAxis(math.log10(min(above)) - 0.05, math.log10(max(above)) + 0.1, log=True)
    low, high = min(values), max(values)
    size = max(abs(low), abs(high))
    if high - low <= 1e-9 * size or size < _LEAST:  # one value: in the middle of its neighbourhood
        room = 0.5 * size if size >= _LEAST else 1.0
        return ChartAxis(low - room, high + room)
    if 0 <= low < 0.4 * high:
        low = 0.0
    room = 0.04 * (high - low)
    return ChartAxis(low if low == 0 else low - room, high + room)


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, not below `least`."""
    power = math.floor(math.log10(least))
    return next((m * 10.0**power for m in (1, 2, 5) if m * 10.0**power >= least * (1 - 1e-9)), 10.0 ** (power + 1))


def _texts(values: Sequence[float], step: float) -> list[str]:
    """All with the same number of decimals; thousands, millions as k, M; very small or large ones times 10ⁿ."""
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
    """10ⁿ, written out where it is short."""
    if -3 <= n <= 3:
        return f"{10.0**n:.{max(0, -n)}f}"
    return "10" + str(n).translate(_RAISED)
