"""Remarks: warnings of their own kind, collected for a log."""

from __future__ import annotations

import threading
import warnings

import pytest

from modeseek.io.remarks import RemarkWarning, add_remark, collect_remarks, plain_remarks

pytestmark = pytest.mark.filterwarnings("always")


def test_each_remark_is_a_warning_and_is_kept_once() -> None:
    with pytest.warns(RemarkWarning, match="^a b$") as caught, collect_remarks() as outer:
        add_remark("a\nb")
        with collect_remarks() as inner:
            add_remark("c")
        add_remark("a b")
    assert (outer, inner) == (["a b"], ["c"]) and len(caught) == 3
    with pytest.warns(RemarkWarning):
        add_remark("d")
    assert outer == ["a b"], "after its end"


def test_threads_keep_their_own() -> None:
    with pytest.warns(RemarkWarning), collect_remarks() as remarks:
        thread = threading.Thread(target=lambda: add_remark("elsewhere"))
        thread.start()
        thread.join()
        add_remark("here")
    assert remarks == ["here"]


@pytest.mark.parametrize("shown", [True, False])
def test_the_terminal_shows_a_line(shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with plain_remarks(shown):
        add_remark("a b")
        warnings.warn("another kind", UserWarning, stacklevel=1)
    said = capsys.readouterr().err
    assert ("modeseek: warning: a b\n" in said) == shown and "another kind" not in said.split("\n")[0]
