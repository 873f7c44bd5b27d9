"""Command-line calls in this process: output and error messages."""

from __future__ import annotations

import pytest

from modeseek.cli import main


def cli_error(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Error line of a command that fails with exit code 2."""
    with pytest.raises(SystemExit) as caught:
        main(argv)
    out = capsys.readouterr()
    assert caught.value.code == 2
    lines = [line for line in out.err.splitlines() if line.strip()]
    assert len(lines) == 1, out.err
    assert lines[0].startswith("modeseek: error: ")
    assert "Traceback" not in out.err
    return lines[0]


def help_text(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Output of a command that exits with code 0."""
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 0
    return capsys.readouterr().out
