"""`import modeseek` is light."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import modeseek

pytestmark = pytest.mark.slow

HEAVY = (
    "diffusers",
    "transformers",
    "matplotlib",
    "viser",
    "resvg_py",
    "svgelements",
    "defusedxml",
    "ray",
    "sklearn",
    "PIL",
    "tyro",
    "rich",
    "scipy",
    "peft",
    "jinja2",
)
SOURCE = str(Path(modeseek.__file__).parents[1])


def run(code: str) -> str:
    """Output of a fresh interpreter that imports this modeseek."""
    program = f"import sys; sys.path.insert(0, {SOURCE!r})\n{code}"
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def test_torch_is_imported_with_the_first_name_that_needs_it() -> None:
    code = "import json, modeseek\nfirst = sorted(sys.modules)\nmodeseek.MSD\n"
    before, after = json.loads(run(code + "print(json.dumps([first, sorted(sys.modules)]))"))
    assert {name.split(".")[0] for name in before}.isdisjoint({*HEAVY, "torch", "numpy"})
    assert [name for name in before if name.startswith("modeseek")] == ["modeseek"]
    assert {"torch", "modeseek.methods.msd"} <= set(after)


def test_a_function_is_shown_where_a_module_has_its_name() -> None:
    code = "import modeseek.distill\nfrom modeseek.distill import Step\n"
    assert run(code + "print(callable(modeseek.distill), modeseek.Step is Step)") == "True True"


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    code = "import modeseek\ntry:\n    modeseek.SDSS\nexcept AttributeError as error:\n    print(error)"
    assert run(code) == "module 'modeseek' has no attribute 'SDSS'"


class Imported(NamedTuple):
    """Modules after all public names, those that torch had not loaded, whether torch's random state is the same."""

    modules: frozenset[str]
    beyond_torch: frozenset[str]
    same_random_state: bool


@pytest.fixture(scope="module")
def imported() -> Imported:
    """What all public names load in a fresh interpreter that has torch and turns warnings into errors."""
    code = "import json, torch\nbefore, state = set(sys.modules), torch.get_rng_state()\n"
    code += "import warnings; warnings.simplefilter('error')\nimport modeseek\n"
    code += "for name in modeseek.__all__: getattr(modeseek, name)\n"
    code += "same = torch.equal(state, torch.get_rng_state())\n"
    code += "print(json.dumps([sorted(sys.modules), sorted(set(sys.modules) - before), same]))"
    modules, beyond_torch, same = json.loads(run(code))
    return Imported(frozenset(modules), frozenset(beyond_torch), same)


def test_nothing_heavy_is_loaded(imported: Imported) -> None:
    assert imported.modules.isdisjoint(HEAVY)


def test_beyond_torch_it_loads_little_that_is_not_its_own(imported: Imported) -> None:
    """The import time itself is measured by benchmarks/import_time.py: a clock in a test measures the machine."""
    names = {name.split(".")[0] for name in imported.beyond_torch}
    packages = {name for name in names if name not in sys.stdlib_module_names and name[0] != "_"}
    assert packages == {"modeseek", "jaxtyping", "lazy_loader", "numpy", "safetensors"}


def test_it_draws_no_random_number_and_warns_of_nothing(imported: Imported) -> None:
    assert imported.same_random_state


def test_a_pipeline_is_loaded_without_a_word() -> None:
    """Whatever its libraries have to say of packages that are not needed."""
    pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
    code = "import contextlib, io, modeseek\nerr = io.StringIO()\nwith contextlib.redirect_stderr(err):\n"
    assert run(code + "    modeseek.Pipeline.load('scenes')\nprint(repr(err.getvalue()))") == "''"


def test_every_public_name_exists() -> None:
    assert len(set(modeseek.__all__)) == len(modeseek.__all__)
    for name in modeseek.__all__:
        assert getattr(modeseek, name) is not None
