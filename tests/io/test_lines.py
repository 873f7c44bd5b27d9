"""Line files: appending, reading, truncating, and torn last lines."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from disk_faults import FailingDisk, Killed, small_disk
from hypothesis import given
from hypothesis import strategies as st

from modeseek.io.atomic import LineFile, read_whole_lines, truncate_lines


@given(lines=st.lists(st.text(st.characters(exclude_characters="\n")), max_size=5), keep=st.integers(0, 6))
def test_lines_are_read_back_and_cut(tmp_path_factory: pytest.TempPathFactory, lines: list[str], keep: int) -> None:
    """Lines may hold form feeds, carriage returns and Unicode line separators."""
    path = tmp_path_factory.mktemp("lines") / "log.txt"
    file = LineFile(path)
    for line in lines:
        file.append(line)
    file.sync()
    file.close()
    expected = [line.encode(errors="backslashreplace").decode() for line in lines]
    assert read_whole_lines(path) == expected
    truncate_lines(path, keep)
    assert read_whole_lines(path) == expected[:keep]


def test_line_breaks_become_spaces(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    file = LineFile(path)
    file.append("two\nlines")
    file.append("\udcff")
    file.close()
    assert read_whole_lines(path) == ["two lines", "\\udcff"]


def test_a_torn_line_is_skipped_and_the_next_is_separate(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 0}\n{"step": 1}\n{"st')
    assert read_whole_lines(path) == ['{"step": 0}', '{"step": 1}']
    file = LineFile(path)
    file.append('{"step": 2}')
    file.close()
    assert read_whole_lines(path) == ['{"step": 0}', '{"step": 1}', '{"st', '{"step": 2}']
    path.write_bytes(b'{"step": 0}\n{"st')
    truncate_lines(path, 5)
    assert path.read_bytes() == b'{"step": 0}\n', "a torn line is always removed"
    truncate_lines(path, 0)
    assert path.read_bytes() == b"" and read_whole_lines(path) == []


def test_lines_of_a_missing_file(tmp_path: Path) -> None:
    assert read_whole_lines(tmp_path / "none") == []
    truncate_lines(tmp_path / "none", 3)
    assert not (tmp_path / "none").exists()
    (tmp_path / "bytes").write_bytes(b"\xff\x00\r\n\x85\n")
    assert read_whole_lines(tmp_path / "bytes") == ["\ufffd\x00\r", "\ufffd"]


@pytest.mark.parametrize("half", [False, True])
def test_a_line_that_fails_leaves_no_part_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: bool
) -> None:
    path = tmp_path / "log.txt"
    file = LineFile(path)
    file.append("one")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        FailingDisk(patch, 0, half)
        file.append("two is lost")
    file.append("three")
    file.close()
    assert path.read_bytes() == b"one\nthree\n"


def test_a_killed_line_is_torn_at_the_end_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.txt"
    file = LineFile(path)
    file.append("one")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        FailingDisk(patch, 0, half=True, kill=True)
        file.append("two is torn")
    file.close()
    assert path.read_bytes() == b"one\ntwo is" and read_whole_lines(path) == ["one"]


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems may write less than requested."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data)[:3]))
    file = LineFile(tmp_path / "log.txt")
    file.append("a long line")
    file.close()
    assert read_whole_lines(tmp_path / "log.txt") == ["a long line"]


def test_lines_on_a_full_disk_are_whole(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        path, line, n = tmp_path / "disk" / "log.txt", "x" * 999, 0
        file = LineFile(path)
        with pytest.raises(OSError) as caught:
            while n < 1000:
                file.append(line)
                n += 1
        assert caught.value.errno == errno.ENOSPC and 10 < n < 70
        file.close()
        assert path.read_bytes() == (line + "\n").encode() * n
        truncate_lines(path, 1)
        file = LineFile(path)
        file.append("again")
        file.close()
        assert read_whole_lines(path) == [line, "again"]
