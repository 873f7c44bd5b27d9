"""docs/choosing.md and docs/results.md: tables of all methods are those of the run in docs/results/ring.json."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from modeseek.experiments.known_density.plan import CONTESTS
from modeseek.methods import METHODS

DOCS = Path(__file__).parents[1] / "docs"
RESULTS: dict[str, Any] = json.loads((DOCS / "results" / "ring.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def choosing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("choosing", DOCS / "choosing.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["choosing.md", "results.md"])
def test_the_tables_are_those_of_the_run(choosing: ModuleType, name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert choosing.with_tables(page, RESULTS) == page, "run python docs/choosing.py RUN"
    assert page.count("<!-- table:") == page.count("<!-- end -->") >= 1


def test_a_changed_number_is_noticed(choosing: ModuleType) -> None:
    page = (DOCS / "choosing.md").read_text(encoding="utf-8")
    value = RESULTS["facts"]["contests"]["calls"]["sds"]["nll"]
    changed = json.loads(json.dumps(RESULTS))
    changed["facts"]["contests"]["calls"]["sds"]["nll"] = value + 1
    assert choosing.with_tables(page, changed) != page


def test_the_page_has_every_table_and_the_command(choosing: ModuleType) -> None:
    page = (DOCS / "choosing.md").read_text(encoding="utf-8")
    assert all(f"<!-- table: {contest} -->" in page for contest in CONTESTS)
    assert "modeseek benchmark --out" in page and "python docs/choosing.py" in page
    assert RESULTS["settings"]["problem"] == "ring" and RESULTS["settings"]["tune"] is True
    assert RESULTS["settings"]["seeds"] >= 5
    for row in RESULTS["facts"]["contests"]["calls"].values():
        assert {"nll", "nll_default"} <= row.keys()


def test_the_tuning_found_what_is_known_to_be_possible() -> None:
    """Settings found by hand before: SDS and annealed SDS with a falling rate, DSD with its own weight under SGD."""
    rows = RESULTS["facts"]["contests"]["calls"]
    assert rows["sds"]["distance"] < 0.03 and rows["sds-annealed"]["nll"] < -0.158 and rows["dsd"]["nll"] < 0.64
    assert all(row["nll"] <= row["nll_default"] + 0.02 for row in rows.values())


def test_every_method_is_in_a_table() -> None:
    contests = RESULTS["facts"]["contests"]
    assert set(METHODS) - {"esd"} <= {name for rows in contests.values() for name in rows}


def test_numbers_of_the_prose_stand_in_a_table() -> None:
    """Each number with three decimals in the findings is the NLL of some row."""
    page = (DOCS / "choosing.md").read_text(encoding="utf-8")
    prose = re.sub(r"<!-- table.*?<!-- end -->", "", page, flags=re.DOTALL)
    rows = [row for rows in RESULTS["facts"]["contests"].values() for row in rows.values()]
    known = {f"{value:.3f}" for row in rows for value in row.values()}
    assert {text for text in re.findall(r"-?\d+\.\d{3}\b", prose) if text not in known} == set()
