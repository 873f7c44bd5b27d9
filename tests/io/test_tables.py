"""Tables of points as pandas, R, NumPy and spreadsheets write them: which columns are taken, and their numbers."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from modeseek.io.points import read_point_table, read_points

XY = [[1.5, 2.5], [3.5, 4.25]]


@pytest.mark.parametrize(
    ("text", "names", "omitted", "points"),
    [
        pytest.param(",x,y\n0,1.5,2.5\n1,3.5,4.25\n", "x y", "without a name (an index)", XY, id="pandas"),
        pytest.param(",x,y\n9,1.5,2.5\n4,3.5,4.25\n", "x y", "without a name (an index)", XY, id="pandas-shuffled"),
        pytest.param(",0,1\n0,1.5,2.5\n1,3.5,4.25\n", "0 1", "without a name (an index)", XY, id="pandas-numbers"),
        pytest.param(",0,1\n0,1,2\n1,3,4\n", "0 1", "(an index)", [[1, 2], [3, 4]], id="pandas-whole-numbers"),
        pytest.param("0,1\n1.5,2.5\n3.5,4.25\n", "0 1", "", XY, id="header-0-1"),
        pytest.param("2020,2021\n1.5,2.5\n3.5,4.25\n", "2020 2021", "", XY, id="header-of-years"),
        pytest.param("Unnamed: 0,x,y\n7,1.5,2.5\n3,3.5,4.25\n", "x y", "'Unnamed: 0' (an index)", XY, id="unnamed-0"),
        pytest.param("index,x,y\n0,1.5,2.5\n1,3.5,4.25\n", "x y", "'index' (an index)", XY, id="named-index"),
        pytest.param("index,y\n1.5,2.5\n3.5,4.25\n", "index y", "", XY, id="index-of-refraction"),
        pytest.param('"","x","y"\n"1",1.5,2.5\n"2",3.5,4.25\n', "x y", "(an index)", XY, id="R-write.csv"),
        pytest.param('"x" "y"\n"a" 1.5 2.5\n"b" 3.5 4.25\n', "x y", "(text)", XY, id="R-write.table"),
        pytest.param(
            "id,day,kind,x,y\n7,2020-01-02,a,1.5,2.5\n7,2020-01-03,b,3.5,4.25\n",
            "x y",
            "'id' (ids), 'day' (dates), 'kind' (text)",
            XY,
            id="ids-dates-text",
        ),
        pytest.param("userId,x,y\n7,1.5,2.5\n9,3.5,4.25\n", "x y", "'userId' (ids)", XY, id="camel-case-id"),
        pytest.param("valid,y\n1,2.5\n3,4.25\n", "valid y", "", [[1, 2.5], [3, 4.25]], id="a-word-that-ends-in-id"),
        pytest.param("date,x,y\n20200102,1.5,2.5\n20200103,3.5,4.25\n", "x y", "(dates)", XY, id="numeric-dates"),
        pytest.param("x,y,\n1.5,2.5,\n3.5,4.25,\n", "x y", "without a name (empty)", XY, id="trailing-commas"),
        pytest.param("1.5,2.5\n3.5,4.25\n", "1 2", "", XY, id="no-header"),
        pytest.param("setosa,1.5,2.5\nother,3.5,4.25\n", "2 3", "'1' (text)", XY, id="text-without-header"),
        pytest.param("x;y\n1,5;2,5\n3,5;4,25\n", "x y", "", XY, id="decimal-commas"),
        pytest.param("1,5;2,5\n3,5;4,25\n", "1 2", "", XY, id="decimal-commas-no-header"),
        pytest.param("1,5\t2,5\n3,5\t4,25\n", "1 2", "", XY, id="decimal-commas-tabs"),
        pytest.param("1,5 2,5\n3,5 4,25\n", "1 2", "", XY, id="decimal-commas-spaces"),
        pytest.param('x,y\n"1,5","2,5"\n"3,5","4,25"\n', "x y", "", XY, id="decimal-commas-quoted"),
        pytest.param("x\n1,5\n3,25\n", "x", "", [[1.5], [3.25]], id="decimal-commas-one-column"),
        pytest.param("x;y\n1.001,5;2,5\n3,5;4.000\n", "x y", "", [[1001.5, 2.5], [3.5, 4000]], id="thousands-points"),
        pytest.param('x,y\n"1,001.5",2.5\n3.5,4\n', "x y", "", [[1001.5, 2.5], [3.5, 4]], id="commas-of-thousands"),
        pytest.param("x;y\n1 001,5;2\n3,5;4\n", "x y", "", [[1001.5, 2], [3.5, 4]], id="spaces-of-thousands"),
        pytest.param("x\ty\n1.5\t2.5\n3.5\t4.25\n", "x y", "", XY, id="tabs"),
        pytest.param("  1.5   2.5\n3.5 4.25\n", "1 2", "", XY, id="aligned-by-spaces"),
        pytest.param("\ufeffx,y\r\n1.5,2.5\r\n3.5,4.25\r\n", "x y", "", XY, id="excel-bom"),
        pytest.param("sep=;\nx;y\n1,5;2,5\n3,5;4,25\n", "x y", "", XY, id="excel-sep"),
        pytest.param("# x y\n1.5 2.5\n# note\n3.5 4.25\n", "x y", "", XY, id="savetxt-header"),
        pytest.param('kind,x,y\n"a\nb, c",1.5,2.5\n"d",3.5,4.25\n', "x y", "'kind' (text)", XY, id="quoted-line-break"),
        pytest.param("x,y\n\u22121.5,2e3\n+3.5,.5\n", "x y", "", [[-1.5, 2000], [3.5, 0.5]], id="signs-and-exponents"),
        pytest.param("1.5\n3.5\n", "1", "", [[1.5], [3.5]], id="one-column"),
        pytest.param(
            "mode,weight,log_prob,x0,x1\n0,0.5,-1.2,1.5,2.5\n1,0.5,-1.3,3.5,4.25\n",
            "x0 x1",
            "'mode' (of the mode), 'weight' (of the mode), 'log_prob' (of the mode)",
            XY,
            id="modes-of-modeseek",
        ),
    ],
)  # fmt: skip
def test_columns_and_numbers(text: str, names: str, omitted: str, points: list[list[float]], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    table = read_point_table(tmp_path / "a.csv")
    assert table.names == tuple(names.split()) and np.array_equal(table.points.numpy(), np.array(points))
    assert omitted in ", ".join(table.omitted) and bool(table.omitted) == bool(omitted)
    assert all(name in table.summary for name in table.names) and omitted in table.summary


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0,1\n1,2\n3,4\n", "the names of columns (pandas) or a point"),
        (
            "0,1.5,2.5\n1,3.5,4.5\n2,1.1,2.0\n",
            "counts its rows: an index or a coordinate; choose columns 2 3, or 1 2 3",
        ),
        ("x;y\n1,234;2,500\n3,500;4,255\n", "may be 1 thousand or 1 and decimals"),
        ("x;y\n1.5;2,5\n3,5;4,25\n", "numbers must be written in one way, got '2,5' and '1.5'"),
        ("x;y\n1.234,567,890;2\n3;4\n", "got '1.234,567,890' in row 0, column 'x'"),
        ("x,y\n1_000,2\n3,4\n", "got '1_000'"),
        ("x,y\n1.5,NA\n3,4\n", "got 'NA', a missing value, in row 0, column 'y'"),
        ("x,y\n1.5,2\n3,\n", "got '', a missing value, in row 1, column 'y'"),
        ("x,y\n1.5,nan\n3,4\n", "NaN or infinity in 1 of 2 rows"),
        ("x,y\n1.5,inf\n3,4\n", "NaN or infinity in 1 of 2 rows"),
        ("x,y\n1.5,2\nabc,4\n", "got 'abc' in row 1, column 'x'"),
        ("x,y\n1.5,2\n3\n", "same number of values, got [1, 2]"),
        ("1,2\n3\n4,5\n", "same number of values, got [1, 2]"),
        ("a,b\nu,v\n", "must have a column of numbers, got 'a' (text), 'b' (text)"),
        ("x,y\n", "got no rows"),
        ("", "got no rows"),
    ],
)
def test_unclear_tables_are_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError) as caught:
        read_points(tmp_path / "a.csv")
    assert words in str(caught.value) and "a.csv" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "names", "first"),
    [
        (["y", "x"], ("y", "x"), [2.5, 1.5]),
        (["2"], ("x",), [1.5]),
        (["0", "y"], ("0", "y"), [9.0, 2.5]),  # the name 0 goes before the number
        (["1"], ("",), [3.0]),
    ],
)
def test_columns_are_chosen(wanted: list[str], names: tuple[str, ...], first: list[float], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",x,y,0,word\n3,1.5,2.5,9,a\n4,3.5,4.5,8,b\n")
    table = read_point_table(tmp_path / "a.csv", wanted)
    assert table.names == names and table.points[0].tolist() == first and "not chosen" in table.summary


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("z", "has no column 'z'; known are x, x, word"),
        ("x", "2 columns of the name 'x'"),
        ("word", "got 'a' in row 0"),
    ],
)
def test_columns_that_cannot_be_chosen(wanted: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,x,word\n1.5,2.5,a\n3.5,4.5,b\n")
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        read_points(tmp_path / "a.csv", [wanted])


def test_other_files(tmp_path: Path) -> None:
    points = np.array(XY)
    np.savez(tmp_path / "one.npz", points)
    np.savez(tmp_path / "two.npz", a=points, b=points)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"x,y\n1.5,2.5\n3.5,4.25\n"))
    (tmp_path / "wide.csv").write_bytes("x\ty\n1,5\t2,5\n3,5\t4,25\n".encode("utf-16"))
    for name in ("one.npz", "a.csv.gz", "wide.csv"):
        assert np.array_equal(read_points(tmp_path / name).numpy(), points), name
    np.save(tmp_path / "a.npy", points)
    assert read_points(tmp_path / "a.npy", ["2"]).tolist() == [[2.5], [4.25]]
    for name, words in (("two.npz", "2 arrays"), ("a.npy", "no column '3'")):
        with pytest.raises(ValueError, match=words):
            read_points(tmp_path / name, ["3"])
    (tmp_path / "b.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(ValueError, match="no intact gzip"):
        read_points(tmp_path / "b.csv.gz")
