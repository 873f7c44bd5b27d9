"""The page "Which models work" against the tables that it is generated from, and these against their tests."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers
from which_models import SECTIONS  # noqa: E402
from which_models.families import FAMILIES, NAMES  # noqa: E402
from which_models.row import Section  # noqa: E402

from modeseek.priors.pipeline.architectures import FAMILY_BY_CLASS  # noqa: E402
from modeseek.priors.pipeline.schedulers import READERS, REFUSED  # noqa: E402

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "which_models.md"
EACH = pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)


def test_the_page_is_generated_from_the_tables() -> None:
    spec = importlib.util.spec_from_file_location("which_models_page", ROOT / "docs" / "which_models.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert PAGE.read_text(encoding="utf-8") == module.render(), "run python docs/which_models.py"


@EACH
def test_a_test_runs_every_row_of_a_section(section: Section) -> None:
    name, _, function = section.test.partition("::")
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert function in functions
    module = next(name for name, module in modules().items() if section in module)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
    }
    assert module in used or section is FAMILIES and "MAKERS" in used, f"{name} does not run {section.title}"


def modules() -> dict[str, list[Section]]:
    """Sections by the names that the modules of `which_models` give them."""
    import sys

    found: dict[str, list[Section]] = {}
    for module in [module for name, module in sys.modules.items() if name.startswith("which_models.")]:
        for name, value in vars(module).items():
            if isinstance(value, Section):
                found.setdefault(name, []).append(value)
    return found


@EACH
def test_rows_are_complete_and_distinct(section: Section) -> None:
    assert section.rows and all(row.what and row.base in tiny.MAKERS for row in section.rows)
    names = [(row.what, row.base) for row in section.rows]
    assert len(set(names)) == len(names)
    assert all("\n" not in row.line + row.note + row.what for row in section.rows)


def test_every_family_and_every_class_of_schedulers_stands_on_the_page() -> None:
    assert set(NAMES) == set(tiny.MAKERS) == {row.base for row in FAMILIES.rows}
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in FAMILY_BY_CLASS)
    untested = {"DDIMParallelScheduler", "DDPMParallelScheduler"}  # of their twins' code
    untested |= {"DPMSolverSDEScheduler"}  # needs torchsde
    untested |= {"PiflowScheduler", "FlowMapEulerDiscreteScheduler", "DPMSolverMultistepInverseScheduler"}
    assert {name for name in (*READERS, *REFUSED) if f"`{name}`" not in text} == untested
