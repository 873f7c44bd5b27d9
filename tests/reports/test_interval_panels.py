"""Figure of scores against costs: its frame, panels and file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from modeseek.reports.interval_panels import IntervalCurve, IntervalPanels, _frame, draw_interval_panels


def curve(title: str, *y: float, spread: float = 0.0) -> IntervalCurve:
    x = tuple(50.0 * 2**k for k in range(len(y)))
    return IntervalCurve(title, x, y, tuple(v - spread for v in y), tuple(v + spread for v in y))


def panels(*curves: IntervalCurve, best: str = "low", base: IntervalCurve | None = None) -> IntervalPanels:
    return IntervalPanels(curves, base, [(0.1, "samples")], "Calls", "Distance", best, (50.0, 100.0))  # type: ignore[arg-type]


def test_the_frame_holds_what_is_good_and_half_of_what_is_bad() -> None:
    fine, other, awful = curve("a", 0.5, 0.3), curve("b", 0.6, 0.2), curve("c", 9.0, 8.0)
    low, high = _frame(panels(fine, other, awful))
    assert low == pytest.approx(0.1 - 0.05 * 0.5) and high == pytest.approx(0.6 + 0.05 * 0.5), (
        "the level, and the median"
    )
    assert _frame(panels(fine, awful, base=curve("base", 3.0, 1.0)))[1] > 3, "the baseline is whole"
    low, high = _frame(
        panels(*(curve(t, *(-v for v in c.y)) for t, c in zip("abc", (fine, other, awful), strict=True)), best="high")
    )
    assert low == pytest.approx(-0.6 - 0.05 * 0.7) and high == pytest.approx(0.1 + 0.05 * 0.7)
    low, high = _frame(panels(fine, other, awful, best=""))
    assert high > 9, "without a better side nothing is cut"
    low, high = _frame(panels(curve("a", 0.1)))
    assert low < 0.1 < high


@pytest.mark.slow
def test_panels_are_drawn_side_by_side_in_tones_that_differ() -> None:
    def width(n: int) -> int:
        png = draw_interval_panels(panels(*(curve(str(k), 0.5, 0.3) for k in range(n))))
        return Image.open(io.BytesIO(png)).width

    assert width(1) < width(2) < width(4) == width(5)
    base = curve("base", 0.5, 0.4, spread=0.05)
    png = draw_interval_panels(panels(curve("m", 0.3, 0.2, spread=0.05), base=base))
    grey = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    dark, middle = (grey < 80).mean(), ((grey > 130) & (grey < 150)).mean()
    assert dark > 0.005 and middle > 0.0005, "the method is dark and the baseline grey without colours too"
