"""Remarks: facts that a user must know about a result, in the terminal and in the log of every run they concern."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from modeseek.io.errors import one_line

LOGGED = "warning: "
"""Prefix of a remark in the log of a run, after the time."""
_COLLECTED: ContextVar[list[str] | None] = ContextVar("modeseek_remarks", default=None)


class RemarkWarning(UserWarning):
    """Warning of a remark: the result is valid, but not all of what was given went into it."""


def add_remark(text: str) -> None:
    """Adds a remark of one line: a `RemarkWarning`, and an entry of `collect_remarks` where one is open."""
    line = one_line(text)
    remarks = _COLLECTED.get()
    if remarks is not None and line not in remarks:
        remarks.append(line)
    warnings.warn(line, RemarkWarning, stacklevel=2)


@contextmanager
def collect_remarks() -> Generator[list[str]]:
    """Context that gives the list of the remarks added in it, each once; an inner context keeps its own."""
    remarks: list[str] = []
    token = _COLLECTED.set(remarks)
    try:
        yield remarks
    finally:
        _COLLECTED.reset(token)


@contextmanager
def plain_remarks(shown: bool) -> Generator[None]:
    """Context that prints remarks as lines of their own on stderr; other warnings stay as they are.

    Args:
        shown: whether this process prints them: only the first of several does.
    """
    show: Callable[..., Any] = warnings.showwarning

    def print_remark(message: Warning | str, category: type[Warning], *rest: Any, **options: Any) -> None:
        if not issubclass(category, RemarkWarning):
            show(message, category, *rest, **options)
        elif shown:
            print(f"modeseek: warning: {message}", file=sys.stderr)

    warnings.showwarning = print_remark
    try:
        yield
    finally:
        warnings.showwarning = show
