"""`import modeseek` is light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import modeseek

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


def test_nothing_heavy_is_loaded() -> None:
    loaded = run(f"import modeseek\nprint([m for m in {HEAVY} if m in sys.modules])")
    assert loaded == "[]"


def test_beyond_torch_it_loads_little_that_is_not_its_own() -> None:
    """The import time itself is measured by benchmarks/import_time.py: a clock in a test measures the machine."""
    code = "import torch\nbefore = set(sys.modules)\nimport modeseek\n"
    code += "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    packages = {name for name in run(code).split() if name not in sys.stdlib_module_names and name[0] != "_"}
    assert packages == {"modeseek", "jaxtyping", "numpy", "safetensors"}


def test_it_draws_no_random_number_and_warns_of_nothing() -> None:
    code = "import torch\ns = torch.get_rng_state()\nimport modeseek\nprint(torch.equal(s, torch.get_rng_state()))"
    assert run("import warnings; warnings.simplefilter('error')\n" + code) == "True"


def test_a_pipeline_is_loaded_without_a_word() -> None:
    """Whatever its libraries have to say of packages that are not needed."""
    pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
    code = "import contextlib, io, modeseek\nerr = io.StringIO()\nwith contextlib.redirect_stderr(err):\n"
    assert run(code + "    modeseek.Pipeline.load('scenes')\nprint(repr(err.getvalue()))") == "''"


def test_every_public_name_exists() -> None:
    assert len(set(modeseek.__all__)) == len(modeseek.__all__)
    for name in modeseek.__all__:
        assert getattr(modeseek, name) is not None
