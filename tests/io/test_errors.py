"""Texts of errors on one line, and silenced libraries."""

from __future__ import annotations

import importlib

import pytest

from modeseek.io.errors import one_line, reason
from modeseek.io.quiet import silence


def test_an_error_is_one_line_of_bounded_length() -> None:
    assert one_line(ValueError("a\n  b\tc")) == "a b c" and one_line("word " * 9, 7) == "word wo"
    assert reason(KeyError("x" * 300)).startswith("'xxx") and len(reason(KeyError("x" * 300))) == 200


def test_the_reason_of_a_missing_file_is_the_systems_word() -> None:
    with pytest.raises(OSError) as caught:
        open("/no/such/file")
    assert reason(caught.value) == "No such file or directory"
    assert reason(OSError("made by a library")) == "made by a library"  # no errno


@pytest.mark.parametrize("on", [True, False])
def test_libraries_are_silent_within_and_as_before_after(on: bool) -> None:
    logs = [importlib.import_module(f"{name}.utils.logging") for name in ("transformers", "diffusers")]
    before = [(log.get_verbosity(), log.is_progress_bar_enabled()) for log in logs]
    try:
        for log in logs:
            log.set_verbosity_info()
            (log.enable_progress_bar if on else log.disable_progress_bar)()
        with pytest.raises(KeyError), silence("transformers", "diffusers"):
            assert [(log.get_verbosity(), log.is_progress_bar_enabled()) for log in logs] == [
                (log.ERROR, False) for log in logs
            ]
            raise KeyError
        assert [(log.get_verbosity(), log.is_progress_bar_enabled()) for log in logs] == [
            (log.INFO, on) for log in logs
        ]
    finally:
        for log, (verbosity, bar) in zip(logs, before, strict=True):
            log.set_verbosity(verbosity)
            (log.enable_progress_bar if bar else log.disable_progress_bar)()
