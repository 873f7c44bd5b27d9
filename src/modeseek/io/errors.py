"""Texts of errors on one line, for messages that quote them."""

from __future__ import annotations

_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "storage size calculation overflowed")


def one_line(value: object, limit: int | None = None) -> str:
    """Text of a value, such as an exception, on one line, cut to `limit` characters."""
    return " ".join(str(value).split())[:limit]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: torch raises a plain RuntimeError on the CPU."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in text for words in _OUT_OF_MEMORY)
    )


def reason(error: BaseException, limit: int = 200) -> str:
    """Cause of an error, for a message that names the file: the system's words for an OSError, else its text."""
    return (isinstance(error, OSError) and error.strerror) or one_line(error, limit)
