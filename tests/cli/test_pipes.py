"""Output into a pipe: never cut, and a reader that leaves is no error."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from modeseek.cli import main
from modeseek.cli.errors import exit_on_error
from modeseek.cli.terminal import print_table
from modeseek.reports.table import Column, Row, Table


def test_a_wide_table_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    columns = tuple(Column(f"c{i}", f"A heading of column {i}", "", ".6f", "low") for i in range(30))
    name = "a prompt with [brackets], :cat: and [/] " + "x" * 90
    rows = tuple(Row(f"{name}{i}", {c.key: float("nan") if i else 1234.5 for c in columns}) for i in range(2))
    print_table(Table(columns, rows), {}, "Heading")
    out = capsys.readouterr().out
    assert f"{name}0" in out and f"{name}1" in out and "…" not in out
    head, first, second = (line for line in out.splitlines() if "column 29" in line or name in line)
    assert all(f"column {i}" in head for i in range(30))
    assert first.count("1234.500000") == 30 and second.count("nan") == 30


@pytest.mark.parametrize("terminal", [False, True])
def test_all_modes_and_coordinates_into_a_pipe(
    terminal: bool, tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("COLUMNS", "200")
    path = f"{tmp_path}/far apart.npy"
    np.save(path, 100.0 * np.arange(40)[:, None] + np.arange(12.0))
    main(["modes", path, "--bandwidth", "0.5"])
    out = capsys.readouterr().out
    assert out.startswith("far apart.npy: columns 1, 2, 3") and "40 modes of 40 points" in out
    assert ("Shown: 30 of 40 modes, 8 of 12 coordinates" in out) == terminal
    assert ("3911" in out and "x11" in out) != terminal


def test_modes_names_the_columns(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    path = f"{tmp_path}/a.csv"
    with open(path, "w") as file:
        file.write("\n".join([",height,width", *(f"{i},{5 * (i % 2)}.5,{5 * (i % 2)}.25" for i in range(20))]))
    main(["modes", path, "--bandwidth", "0.5"])
    out = capsys.readouterr().out
    assert "columns height, width; left out: the column without a name (an index)" in out
    assert "2 modes of 20 points" in out and "height" in out.splitlines()[3]
    main(["modes", path, "--bandwidth", "0.5", "--columns", "width"])
    assert (
        "columns width; left out: the column without a name (an index), 'height' (not chosen)"
        in capsys.readouterr().out
    )


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
@pytest.mark.parametrize("text", ["short", "long " * 100_000])
def test_a_reader_that_leaves_is_no_error(
    text: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(SystemExit) as caught, exit_on_error():
            print(text)
        monkeypatch.undo()
    assert caught.value.code == 141 and capfd.readouterr().err == ""


def test_a_pipe_of_its_own_that_breaks_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, exit_on_error():
        raise BrokenPipeError(32, "Broken pipe")
    assert caught.value.code == 2 and "Broken pipe" in capsys.readouterr().err
