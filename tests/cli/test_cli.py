"""Command line: help texts, and errors that end with one line, exit code 2 and no files."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from terminal import cli_error, help_text

import modeseek
from modeseek.cli import main
from modeseek.cli.verbs import VERBS


def test_the_help_shows_options_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    general = capsys.readouterr().out.splitlines()
    assert len(general) <= 33 and max(map(len, general)) <= 84
    assert [line.split()[0] for line in general if line.startswith("  ")] == list(VERBS)
    toy = help_text(["toy", "--help"], capsys)
    for words in ("fractal", "msd-product", "--label", "--save-network", "Examples", "--budget"):
        assert words in toy, words
    modes = help_text(["modes", "--help"], capsys)
    assert "--bandwidth" in modes and "kernel" in modes


def test_no_command_is_a_call_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "\n  toy " in capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out == f"modeseek {modeseek.__version__}\n"


def test_the_help_names_every_problem_and_method(capsys: pytest.CaptureFixture[str]) -> None:
    from modeseek.datasets.by_name import DATASETS
    from modeseek.experiments.toy2d.entries_tuned import DIGITS_ENTRIES, TOY2D_ENTRIES

    words = help_text(["toy", "--help"], capsys).replace("│", " ").split()
    named = {word.strip(",;.:()") for word in words}
    assert {*DATASETS, *TOY2D_ENTRIES, *DIGITS_ENTRIES} <= named


TOY = ["toy", "--problem", "ring"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["toy", "--problem", "fractle"], "did you mean fractal?"),
        (["toy", "--problem", "zzz"], "known are fractal, spiral"),
        ([*TOY, "--methods", "msd", "sdss"], "did you mean sds?"),
        ([*TOY, "--methods", "msd-prodct"], "did you mean msd-product?"),
        (["toy", "--problem", "digits", "--methods", "find-modes"], "unknown method 'find-modes'"),
        (["toy", "--problem", "spiral", "--label", "1"], "spiral has no classes"),
        ([*TOY, "--label", "8"], "ring has 0 to 7"),
        (["toy", "--problem", "digits", "--label", "10"], "label must be a digit from 0 to 9, got 10"),
        ([*TOY, "--scale", "3"], "without a label"),
        ([*TOY, "--label", "1", "--scale", "3", "--methods", "find-modes"], "climbs a density"),
        ([*TOY, "--budget", "5"], "too small"),
        ([*TOY, "--budget", "-1"], "too small"),
        ([*TOY, "--side", "2"], "side must be at least 3"),
        ([*TOY, "--train-steps", "10"], "--train-steps needs --prior learned"),
        ([*TOY, "--prior", "learned", "--train-steps", "0"], "--train-steps must be at least 1"),
        ([*TOY, "--prior", "learned", "--network", "nowhere"], "nowhere"),
        ([*TOY, "--prior", "learned", "--network", "a", "--save-network", "b"], "remove one"),
    ],
)
def test_toy_refuses(
    argv: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in cli_error(argv, capsys)
    assert list(tmp_path.iterdir()) == []


def test_toy_refuses_a_file_as_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "taken"
    file.write_text("mine")
    assert "which is a file" in cli_error([*TOY, "--out", str(file)], capsys)
    assert cli_error([*TOY, "--out", str(file / "below")], capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"] and file.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="no folder is closed to root")
def test_toy_refuses_a_folder_it_may_not_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert "Permission denied" in cli_error([*TOY, "--out", str(closed / "run")], capsys)
    assert list(closed.iterdir()) == []


def test_toy_refuses_a_network_folder_that_exists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "mine").touch()
    argv = [*TOY, "--prior", "learned", "--save-network", str(tmp_path / "net"), "--out", str(tmp_path / "run")]
    assert "try another name" in cli_error(argv, capsys)
    assert not (tmp_path / "run").exists()


def test_toy_refuses_a_network_of_another_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = modeseek.Network.train(torch.randn(50, 3), steps=1, rng=torch.Generator(), width=8, batch=8)
    net.save(tmp_path / "net")
    argv = [*TOY, "--prior", "learned", "--network", str(tmp_path / "net"), "--out", str(tmp_path / "run")]
    assert "(3,)" in cli_error(argv, capsys)
    flat = modeseek.Network.train(torch.randn(50, 2), steps=1, rng=torch.Generator(), width=8, batch=8)
    flat.save(tmp_path / "flat")
    argv = [*TOY, "--label", "1", "--prior", "learned", "--network", str(tmp_path / "flat")]
    assert "without classes" in cli_error([*argv, "--out", str(tmp_path / "run")], capsys)
    assert not (tmp_path / "run").exists()


def blobs(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 7.0]])
    return centers[np.repeat([0, 1, 2], [60, 30, 10])] + 0.3 * rng.normal(size=(100, 2))


@pytest.mark.parametrize("kind", ["npy", "csv", "header.csv", "float32.npy", "semicolon.csv"])
def test_modes_finds_the_blobs(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points, file, out = blobs(), tmp_path / f"points.{kind}", tmp_path / "labels.csv"
    if kind.endswith("npy"):
        np.save(file, points.astype(np.float32) if "32" in kind else points)
    else:
        mark = ";" if "semicolon" in kind else ","
        np.savetxt(file, points, delimiter=mark, header="x,y" if "header" in kind else "", comments="")
    main(["modes", str(file), "--bandwidth", "0.6", "--out", str(out)])
    assert "3 modes of 100 points" in capsys.readouterr().out
    with out.open() as handle:
        labels = [int(row["label"]) for row in csv.DictReader(handle)]
    assert labels == [0] * 60 + [1] * 30 + [2] * 10
    with (tmp_path / "labels-modes.csv").open() as handle:
        modes = list(csv.DictReader(handle))
    assert [float(row["weight"]) for row in modes] == pytest.approx([0.6, 0.3, 0.1])
    found = np.array([[float(row["x0"]), float(row["x1"])] for row in modes])
    for mode, center in zip(found, ([0, 0], [5, 0], [0, 7]), strict=True):
        assert np.linalg.norm(mode - center) <= 0.25
    # at a mode the kernel mean of all points is the mode itself
    weights = np.exp(-((found[:, None] - points) ** 2).sum(-1) / (2 * 0.6**2))
    mean = weights @ points / weights.sum(1, keepdims=True)
    assert np.abs(mean - found).max() <= 1e-5


def test_modes_keeps_files_that_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "points.npy", blobs())
    out = tmp_path / "labels.csv"
    out.write_text("mine")
    main(["modes", str(tmp_path / "points.npy"), "--bandwidth", "0.6", "--out", str(out)])
    assert out.read_text() == "mine"
    assert (tmp_path / "labels-2.csv").exists() and (tmp_path / "labels-2-modes.csv").exists()
    assert "labels-2.csv" in capsys.readouterr().out


def test_modes_writes_nothing_unasked(tmp_path: Path) -> None:
    np.save(tmp_path / "points.npy", blobs())
    main(["modes", str(tmp_path / "points.npy"), "--bandwidth", "0.6"])
    assert [path.name for path in tmp_path.iterdir()] == ["points.npy"]


BAD = {
    "nan.npy": np.array([[0.0, 1.0], [np.nan, 2.0]]),
    "flat.npy": np.arange(5.0),
    "cube.npy": np.zeros((2, 2, 2)),
    "empty.npy": np.zeros((0, 2)),
    "words.npy": np.array([["a", "b"]]),
    "complex.npy": np.array([[1j, 2]]),
}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nan.npy", "NaN or infinity in 1 of 2 rows of nan.npy, the first is row 1"),
        ("flat.npy", "shape (n, d), got (5,)"),
        ("cube.npy", "shape (n, d), got (2, 2, 2)"),
        ("empty.npy", "got (0, 2)"),
        ("words.npy", "real numbers"),
        ("complex.npy", "real numbers"),
        ("objects.npy", "not a readable .npy"),
        ("noise.npy", "not a readable .npy"),
        ("void.npy", "not a readable .npy"),
        ("ragged.csv", "same number of values"),
        ("gap.csv", "got ''"),
        ("text.csv", "got 'b'"),
        ("nan.csv", "NaN or infinity"),
        ("void.csv", "got no rows"),
        ("binary.csv", "not text"),
        ("points.parquet", "must be a .npy or .csv file"),
        ("missing.npy", "No such file"),
        ("folder", "got the folder"),
    ],
)
def test_modes_refuses(name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / name
    texts = {"ragged.csv": "1,2\n3\n", "gap.csv": "1,2\n3,\n", "text.csv": "1,2\n3,b\n", "nan.csv": "1,2\nnan,3\n"}
    raw = {"noise.npy": b"\x93NUMPYgarbage", "void.npy": b"", "void.csv": b"", "binary.csv": b"\xff\xfe\x00\xd8"}
    if name in BAD:
        np.save(file, BAD[name])
    elif name == "objects.npy":
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif name in texts:
        file.write_text(texts[name])
    elif name in raw:
        file.write_bytes(raw[name])
    elif name == "folder":
        file.mkdir()
    elif name == "points.parquet":
        file.write_bytes(b"PAR1")
    before = sorted(tmp_path.iterdir())
    line = cli_error(["modes", str(file), "--bandwidth", "0.5", "--out", str(tmp_path / "labels.csv")], capsys)
    assert words in line
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("bandwidth", ["0", "-1", "nan", "inf"])
def test_modes_refuses_a_bandwidth(bandwidth: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "points.npy", blobs())
    assert "--bandwidth must be positive" in cli_error(
        ["modes", str(tmp_path / "points.npy"), f"--bandwidth={bandwidth}"], capsys
    )


def test_modes_refuses_an_output_without_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "points.npy", blobs())
    argv = ["modes", str(tmp_path / "points.npy"), "--bandwidth", "1", "--out", str(tmp_path / "no" / "labels.csv")]
    assert "must lie in an existing folder" in cli_error(argv, capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["points.npy"]


@pytest.mark.slow
def test_as_a_program_it_ends_with_code_2_and_one_line() -> None:
    """A fresh interpreter, as a shell would start it."""
    source = str(Path(modeseek.__file__).parents[1])
    program = f"import sys; sys.path.insert(0, {source!r}); from modeseek.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "toy", "--problem", "fractl"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines() == [
        "modeseek: error: unknown problem 'fractl': did you mean fractal? "
        "known are fractal, spiral, pinwheel, ring, grid, digits"
    ]


@pytest.mark.parametrize("problem", ["ring", "digits"])
@pytest.mark.parametrize("value", ["0", "-1", "nan"])
def test_invalid_bandwidths(problem: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["toy", "--problem", problem, "--bandwidth", value, "--out", str(tmp_path / "run")]
    assert "bandwidth must be positive" in cli_error(argv, capsys)
    assert not list(tmp_path.iterdir())


def test_settings_of_repeated_set_options_are_merged(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "--method", "sds", "--set", "saving.steps=50", "previews=0", "--seed", "3", "--set", "steps=7"]
    main([*command, "--dry-run"])
    lines = capsys.readouterr().out.splitlines()
    assert "previews: 0" in lines and "seed: 3" in lines and "steps: 7" in lines and "  steps: 50" in lines
