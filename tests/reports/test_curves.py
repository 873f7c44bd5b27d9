"""Charts: thinning keeps extremes, ticks lie at their values, and damaged rows are drawn as far as possible."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeseek.reports.axis import axis_for
from modeseek.reports.curves import Chart, Curve, draw_chart, read_curve

_RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_UNITS = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
finite = st.floats(-1e149, 1e149) | st.integers(-5, 5).map(float)


def value_of(text: str) -> float:
    """Value of a tick label."""
    text = text.replace("−", "-")
    if text[-1] in _UNITS:
        return float(text[:-1]) * _UNITS[text[-1]]
    mantissa, _, power = (
        text.rpartition("·10") if "·" in text else ("1", "", text[2:]) if text[-1] in "⁻⁰¹²³⁴⁵⁶⁷⁸⁹" else (text, "", "⁰")
    )
    return float(f"{mantissa}e{power.translate(_RAISED)}")


@given(st.lists(finite, min_size=1, max_size=20))
def test_ticks_lie_at_their_values_and_values_lie_inside(values: list[float]) -> None:
    axis = axis_for(values)
    assert all(0 <= axis.position(v) <= 1 for v in values)
    positions, texts = zip(*axis.ticks, strict=True)
    assert len(set(texts)) == len(texts) <= 12 and len(texts) >= 2
    assert list(positions) == sorted(positions) and positions[0] >= -1e-9 and positions[-1] <= 1 + 1e-9
    for position, text in axis.ticks:
        assert axis.position(value_of(text)) == pytest.approx(position, abs=2e-3)  # a line is thicker than that


@pytest.mark.parametrize(
    ("values", "log"),
    [
        ([1.0, 99.0], False),
        ([1.0, 101.0], True),
        ([1e-28, 1.0], True),
        ([0.0, 1e-28, 1.0], True),
        ([0.0, 1.0], False),
        ([-1.0, 1e-5, 1000.0], False),
        ([3.0], False),
    ],
)
def test_axes_are_logarithmic_where_positive_values_span_two_decades(values: list[float], log: bool) -> None:
    assert axis_for(values).log is log


def test_amounts_begin_at_zero_and_are_never_logarithmic() -> None:
    svg = draw_chart(Chart("Calls", "calls", "step", (Curve("", (0.0, 1.0), (1.0, 5000.0)),), amount=True))
    assert "log scale" not in svg and ">0</text>" in svg


@given(st.lists(finite, min_size=1, max_size=2000))
def test_thinning_keeps_ends_and_extremes(values: list[float]) -> None:
    curve = Curve("", tuple(map(float, range(len(values)))), tuple(values))
    thinned = curve.thinned
    assert len(thinned) <= 300 and set(thinned) <= set(zip(curve.x, curve.y, strict=True))
    assert thinned == sorted(thinned) and thinned[0][0] == 0 and thinned[-1][0] == len(values) - 1
    assert {max(values), min(values)} <= {y for _, y in thinned}


def test_one_wild_step_in_a_hundred_thousand_is_still_seen() -> None:
    y = [1.0] * 100_000
    y[54_321] = 99.0
    assert (54_321.0, 99.0) in Curve("", tuple(map(float, range(100_000))), tuple(y)).thinned


def test_a_trend_is_drawn_through_noise_and_not_along_a_smooth_curve() -> None:
    x = tuple(map(float, range(400)))
    noisy = Curve("", x, tuple(1 + (-1.0) ** i + i / 400 for i in range(400)))
    assert noisy.noisy and all(0.9 < y < 2.1 for _, y in noisy.trend)  # the noise reaches from 0 to 3
    smooth = Curve("", x, tuple(math.exp(-i / 50) for i in range(400)))
    assert not smooth.noisy
    n_paths = [
        draw_chart(Chart("", "", "", (curve,), smooth=True)).count("<path class='line") for curve in (noisy, smooth)
    ]
    assert n_paths == [2, 1]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda s: st.lists(s, max_size=2),
    max_leaves=3,
)
rows = st.lists(st.fixed_dictionaries({"step": anything}, optional={"y": anything}), max_size=20)


@given(rows, st.booleans(), st.sampled_from([None, (1e-4, "tol")]), st.booleans())
def test_whatever_the_rows_hold_the_drawing_is_whole_and_inside(
    rows: list[dict[str, object]], smooth: bool, level: tuple[float, str] | None, amount: bool
) -> None:
    curve = read_curve(rows, "step", "y")
    if curve is None:
        return
    svg = draw_chart(Chart("A <title>", "'y' & z", "x", (curve,), level=level, smooth=smooth, amount=amount))
    figure = ElementTree.fromstring(svg)
    for path in figure.iter("path"):
        numbers = [float(n) for n in re.findall(r"-?\d+\.?\d*", path.attrib["d"])]
        assert all(-1 <= n <= 430 for n in numbers), path.attrib["d"]


def test_what_is_not_finite_is_left_out_and_counted() -> None:
    rows = [{"step": i, "y": y} for i, y in enumerate([1.0, None, float("nan"), float("inf"), "7", 10**400, 2.0])]
    curve = read_curve(rows, "step", "y")
    assert curve is not None and curve.y == (1.0, 2.0) and curve.lost == 5
    assert "5 values were not finite" in draw_chart(Chart("", "", "", (curve,)))
    assert read_curve([{"step": 0}, {"step": 1, "y": None}], "step", "y") is None


def test_one_step_is_a_dot() -> None:
    svg = draw_chart(Chart("", "", "", (Curve("", (3.0,), (7.0,)),)))
    assert "<circle" in svg and "class='line" not in svg


def test_many_lines_differ_in_colour_or_dashes() -> None:
    lines = tuple(Curve(str(i), (0.0, 1.0), (float(i), i + 1.0)) for i in range(20))
    svg = draw_chart(Chart("", "", "", lines, colours=tuple(range(20))))
    kinds = re.findall(r"class='line (c\d dash\d)'", svg)
    assert len(kinds) == len(set(kinds)) == 20
