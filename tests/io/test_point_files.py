"""Tables of points: CSV files, all written or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from disk_faults import FailingDisk

from modeseek.io.points import read_points, write_csv


def test_tables_are_read_back(tmp_path: Path) -> None:
    rows = [["x", "y"], [0.1, -2.0], [1e-300, 3.0]]
    write_csv({tmp_path / "a.csv": rows, tmp_path / "b.csv": [[7.0]]})
    assert (tmp_path / "a.csv").read_bytes() == b"x,y\n0.1,-2.0\n1e-300,3.0\n"
    assert (
        np.array_equal(read_points(tmp_path / "a.csv"), np.array(rows[1:]))
        and read_points(tmp_path / "b.csv").item() == 7
    )


def test_a_disk_that_fills_up_leaves_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv({tmp_path / "old.csv": [[0.0]]})
    with pytest.raises(FileExistsError, match="must be written to new files"):
        write_csv({tmp_path / "a.csv": [[1.0]], tmp_path / "old.csv": [[2.0]]})
    for call in range(6):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            FailingDisk(patch, call)
            write_csv({tmp_path / "a.csv": [[1.0]], tmp_path / "b.csv": [[2.0]]})
        assert [path.name for path in tmp_path.iterdir()] == ["old.csv"]
