"""No module pickles or unpickles, so no loaded file can run code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src" / "modeseek"


_FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "copyreg"}
_FORBIDDEN_CALLS = {"torch.load", "torch.save", "torch.jit.load", "torch.package", "yaml.unsafe_load", "yaml.full_load"}
_FORBIDDEN_CALLS |= {"yaml.load_all", "yaml.unsafe_load_all", "pandas.read_pickle", "eval", "exec"}


def unpickling(source: str) -> list[str]:
    """Names in a source that could run code from a loaded file."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found += [m for m in modules if m.split(".")[0] in _FORBIDDEN_MODULES or m in _FORBIDDEN_CALLS]
        if isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node) in _FORBIDDEN_CALLS:
            found.append(ast.unparse(node))
        if isinstance(node, ast.Call):
            name, given = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            if name in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
                found.append(f"{name} without allow_pickle=False")
            if name in ("np.save", "np.savez", "numpy.save") and given.get("allow_pickle", "False") != "False":
                found.append(f"{name} with allow_pickle")
            if name == "yaml.load" and given.get("Loader") not in ("yaml.SafeLoader", "_loader()"):
                found.append("yaml.load with another loader")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as p",
        "from dill import loads",
        "import torch\ntorch.load('a')",
        "from torch import load",
        "f = torch.save",
        "import numpy as np\nnp.load('a')",
        "np.load('a', allow_pickle=True)",
        "yaml.load(x, Loader=yaml.Loader)",
        "yaml.load(x)",
        "yaml.unsafe_load(x)",
        "eval('1')",
        "import joblib.numpy_pickle",
    ],
)
def test_the_search_for_pickles_finds_them(source: str) -> None:
    assert unpickling(source)


@pytest.mark.slow
def test_nothing_is_pickled_anywhere() -> None:
    sources = sorted(SOURCES.rglob("*.py"))
    assert len(sources) > 50
    found = {str(path.relative_to(SOURCES)): unpickling(path.read_text()) for path in sources}
    assert not {name: what for name, what in found.items() if what}
    assert not unpickling("np.load(path, allow_pickle=False)\nyaml.load(x, Loader=yaml.SafeLoader)\nevaluate(1)")


def test_our_loader_of_yaml_is_a_safe_one() -> None:
    import yaml

    from modeseek.config import yaml as safe_yaml

    assert issubclass(safe_yaml._loader(), yaml.SafeLoader)
