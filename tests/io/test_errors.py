"""Texts of errors on one line, and errors of memory."""

from __future__ import annotations

import pytest

from modeseek.io.errors import is_out_of_memory, one_line, reason


def test_an_error_is_one_line_of_bounded_length() -> None:
    assert one_line(ValueError("a\n  b\tc")) == "a b c" and one_line("word " * 9, 7) == "word wo"
    assert reason(KeyError("x" * 300)).startswith("'xxx") and len(reason(KeyError("x" * 300))) == 200


def test_the_reason_of_a_missing_file_is_the_systems_word() -> None:
    with pytest.raises(OSError) as caught:
        open("/no/such/file")
    assert reason(caught.value) == "No such file or directory"
    assert reason(OSError("made by a library")) == "made by a library"  # no errno


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
            True,
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_memory_that_ran_out(error: Exception, is_it: bool) -> None:
    assert is_out_of_memory(error) == is_it
