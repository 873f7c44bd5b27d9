"""Row and section of the page `docs/which_models.md`: cases that tests run and the page shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def unchanged(folder: Path) -> None:
    """Leaves a folder as it was saved."""


@dataclass(frozen=True)
class ModelRow:
    """Case of a test of pipelines, and row of the page.

    Attributes:
        what: what the folder or file is, a Markdown phrase; unique in its section.
        base: pipeline that is changed, a name of `tiny.MAKERS`.
        change: function that changes a copy of that pipeline's folder in place; may write files beside it.
        line: part of the error's line, without paths, where it is refused; empty where it works.
        note: how it is read where it works, or what to do where it is refused, a Markdown phrase; may be empty.
    """

    what: str
    base: str = "sd"
    change: Callable[[Path], None] = unchanged
    line: str = ""
    note: str = ""


@dataclass(frozen=True)
class Section:
    """Section of the page.

    Attributes:
        title: heading.
        introduction: Markdown before the table.
        rows: rows, in the order of the page.
        test: test that runs every row, as `tests/room/test_file.py::test_name`.
    """

    title: str
    introduction: str
    rows: tuple[ModelRow, ...]
    test: str
