"""docs/defaults.md: every method has rows, ours come from the code, and what differs is said to."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from modeseek.methods import METHODS, SDS

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def table() -> Iterator[ModuleType]:
    pytest.importorskip("sphinx")
    sys.path.insert(0, str(DOCS / "_ext"))
    import defaults_table

    yield defaults_table
    sys.path.remove(str(DOCS / "_ext"))


def test_every_method_has_a_row_and_every_row_a_hyperparameter(table: ModuleType) -> None:
    listed = {row.method for row in table.OFFICIAL}
    assert set(METHODS) == listed, "add rows to docs/_ext/official_defaults.py"
    for row in table.OFFICIAL:
        names = {field.name for field in dataclasses.fields(METHODS[row.method])}
        assert row.field in names or row.field == "scale", row
    assert len({(row.method, row.field) for row in table.OFFICIAL}) == len(table.OFFICIAL)


def test_ours_are_read_from_the_code(table: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(row for row in table.OFFICIAL if (row.method, row.field) == ("sds", "weight"))
    assert table.agreement(row) == "yes" and table.shown(table.our_value(row)) == "`sigma_squared`"

    @dataclasses.dataclass(frozen=True)
    class Drifted(SDS):
        weight: object = max

    monkeypatch.setitem(METHODS, "sds", Drifted)
    assert table.agreement(row) == "**no**" and table.shown(table.our_value(row)) == "`max`"


def test_what_differs_is_explained(table: ModuleType) -> None:
    differing = {row.method for row in table.OFFICIAL if table.agreement(row) == "**no**"}
    page = (DOCS / "defaults.md").read_text(encoding="utf-8")
    explained = page[page.index("Where they differ") : page.index("No official value")]
    assert differing and {name for name in differing if f"`{name}`" not in explained} == set()


def test_the_page_has_a_line_per_row(table: ModuleType) -> None:
    assert len(table.rows()) == len(table.OFFICIAL) + 2
    assert all(line.count("|") == 7 for line in table.rows())
    assert any("`noise_scale`" in line for line in table.unlisted() if line.startswith("- `msd`"))
