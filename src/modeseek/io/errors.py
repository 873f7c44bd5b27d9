"""Texts of errors on one line, for messages that quote them."""

from __future__ import annotations


def one_line(value: object, limit: int | None = None) -> str:
    """Text of a value, such as an exception, on one line, cut to `limit` characters."""
    return " ".join(str(value).split())[:limit]


def reason(error: BaseException, limit: int = 200) -> str:
    """Cause of an error, for a message that names the file: the system's words for an OSError, else its text."""
    return (isinstance(error, OSError) and error.strerror) or one_line(error, limit)
