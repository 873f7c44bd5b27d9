"""The architecture, read off the syntax trees: rooms, imports, writers, names, words, sizes. No module is imported."""

from __future__ import annotations

import ast
import gc
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import modeseek

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "modeseek"
ROOMS = (  # a room imports only the rooms above it, and those of its own line
    "rng codec ramp pytree device distributed",
    "io",
    "citations",
    "diffusion",
    "operators",
    "generators",
    "regularizers",
    "priors",
    "sampling",
    "camera_conditions",
    "meanshift",
    "datasets",
    "methods",
    "metrics",
    "config",
    "distill",
    "rundir",
    "reports",
    "viewer",
    "runs",
    "sweeps",
    "exams",
    "experiments",
    "cli",
    "__init__ __main__",
)
FLOOR = {name: floor for floor, names in enumerate(ROOMS) for name in names.split()}
WRITERS = {"io", "rundir", "runs", "reports", "viewer", "sweeps", "experiments"}
WRITING = {"write_text", "write_bytes", "save_file", "save_pretrained", "mkdir", "mkstemp", "rmtree", "unlink", "touch"}
LARGEST = 0.16  # of the package's lines in one room
LONGEST = 300  # lines of a file
RIDDLES = ("What", "Who", "Whoever", "Where", "How", "Whether", "When", "Why")


@dataclass(frozen=True)
class Module:
    """Text, syntax tree and all nodes of a module."""

    text: str
    tree: ast.Module
    nodes: tuple[ast.AST, ...]

    @classmethod
    def read(cls, path: Path) -> Module:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        return cls(text, tree, tuple(ast.walk(tree)))


@cache
def trees() -> dict[Path, Module]:
    """Every module of the package and of tools/, by path from the root."""
    gc.disable()  # half of the time: nothing of a million new nodes is garbage
    try:
        files = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "tools").rglob("*.py")])
        return {path.relative_to(ROOT): Module.read(path) for path in files}
    finally:
        gc.freeze()
        gc.enable()


def nodes(path: Path) -> tuple[ast.AST, ...]:
    return trees()[path].nodes


def room(path: Path) -> str:
    """The room of a module: the first part of its path below the package, or tools."""
    parts = path.parts
    return "tools" if parts[0] == "tools" else parts[2].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Dotted names of the modules that a module imports, anywhere in it."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield node.module or ""
            if node.module == "modeseek":
                yield from (f"modeseek.{alias.name}" for alias in node.names)


def package() -> list[Path]:
    return [path for path in trees() if room(path) != "tools"]


def test_every_room_is_in_the_list() -> None:
    assert {room(path) for path in package()} == set(FLOOR)


def test_imports_go_upwards_in_the_list_only() -> None:
    wrong = []
    for path in package():
        for name in imports(path):
            target = name.split(".")[1:2]
            if name.startswith("modeseek.") and target[0] in FLOOR and FLOOR[target[0]] > FLOOR[room(path)]:
                wrong.append(f"{path} imports {name}")
    assert wrong == []


def test_nothing_in_the_package_imports_tools() -> None:
    assert [path for path in package() if any(name.split(".")[0] == "tools" for name in imports(path))] == []


def test_only_pipelines_and_tools_know_diffusers() -> None:
    found = {path for path in trees() if any(name.split(".")[0] == "diffusers" for name in imports(path))}
    assert found, "the check sees imports inside functions"
    assert [p for p in found if room(p) != "tools" and p.parts[2:4] != ("priors", "pipeline")] == []


def writes(path: Path) -> list[int]:
    """Lines that write, make or remove files themselves rather than by modeseek.io."""
    lines = []
    for node in nodes(path):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        modes = [a.value for a in (*node.args, *(k.value for k in node.keywords)) if isinstance(a, ast.Constant)]
        opened = name in ("open", "fdopen") and any(
            isinstance(m, str) and re.fullmatch("[wax]b?[+]?", m) for m in modes
        )
        if name in WRITING or opened:
            lines.append(node.lineno)
    return lines


def test_only_some_rooms_write_files() -> None:
    assert {room(path) for path in package() if writes(path)} <= WRITERS
    assert writes(PACKAGE.relative_to(ROOT) / "io" / "atomic.py"), "the check sees what it looks for"


def test_no_room_is_too_large_and_no_file_too_long() -> None:
    lines = {path: module.text.count("\n") for path, module in trees().items()}
    assert {path: n for path, n in lines.items() if n > LONGEST} == {}
    rooms = Counter[str]()
    for path in package():
        rooms[room(path)] += lines[path]
    assert {name: n for name, n in rooms.items() if n > LARGEST * rooms.total()} == {}


def test_class_names_are_unique() -> None:
    found = Counter(node.name for path in trees() for node in nodes(path) if isinstance(node, ast.ClassDef))
    assert {name for name, n in found.items() if n > 1 and not name.startswith("_")} == set()


def exported() -> list[str]:
    tree = ast.parse(Path("src/modeseek/__init__.pyi").read_text())
    return ast.literal_eval(next(node.value for node in tree.body if isinstance(node, ast.Assign)))


def test_public_names_are_sorted_and_those_of_the_type_stub() -> None:
    assert sorted(modeseek.__all__) == sorted(exported())
    assert [pair for pair in pairwise(exported()) if pair[0].lower() > pair[1].lower()] == []


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Docstrings, attribute texts and other strings of a module."""
    for node in nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_the_words_are_the_fields() -> None:
    """No private idiom: docstrings are noun phrases, errors do not end in an empty imperative."""
    wrong = []
    for path, module in trees().items():
        first = (ast.get_docstring(module.tree) or "").split(" ")[0]
        if not first or first in RIDDLES:
            wrong.append(f"{path}: the docstring of a module is a noun phrase: {first!r}")
        wrong += [f"{path}: told" for _ in re.finditer(r"\btold\b", module.text)]
        for line, value in prose(path):
            if value.startswith("Of ") or re.search(r"; (mend|fix)( it| them| this| the file)?$", value):
                wrong.append(f"{path}:{line}: {value[:60]!r}")
            wrong += [f"{path}:{line}: {m[0].strip()!r}" for m in re.finditer(r"\n +\w+: of (the|a|its)\b.*", value)]
    assert wrong == []


KINDS = ("generators", "methods", "priors", "config")  # rooms whose classes are of many kinds
ASKED = {  # checks at a boundary: text needs a pipeline, a note is about MSD, a density is known for toy priors,
    # splats and meshes begin in a volume
    ("runs/jobs.py", "Pipeline"),
    ("methods/auxiliary_lora.py", "Pipeline"),
    ("methods/cds.py", "FeaturePrior"),
    ("reports/method_notes.py", "MSD"),
    ("sweeps/log_densities.py", "ToyPriorConfig"),
    ("experiments/text_to_3d/representations.py", "NeRFConfig"),
}
SHARED = {
    "base",
    "camera",
    "rendering",
    "rendering3d",
    "wrapper",
}  # modules of protocols, views and renderings, of no single kind


def test_no_room_asks_which_kind_an_object_is() -> None:
    """What depends on the kind of a generator, method, prior or configuration is its own member, not an isinstance."""
    kinds = {
        node.name: path.relative_to("src/modeseek").parts[0]
        for path in trees()
        if path.parts[:2] == ("src", "modeseek") and path.parts[2] in KINDS and path.stem not in SHARED
        for node in nodes(path)
        if isinstance(node, ast.ClassDef)
    }
    asked = set()
    for path in trees():
        if path.parts[0] == "tools" or path.parts[2] == "config":
            continue
        for node in nodes(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                names = {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
                asked |= {
                    (path.relative_to("src/modeseek").as_posix(), name)
                    for name in names
                    if kinds.get(name, path.parts[2]) != path.parts[2] or (name in kinds and name.endswith("Config"))
                }
    assert asked == ASKED


def test_the_wheel_holds_the_package_alone() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": ["src/modeseek"]}


def test_tests_mirror_the_rooms() -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in ROOT.glob("tests/*/**/test_*.py")}
    assert {str(f) for f in folders if not (PACKAGE / f).is_dir()} == {"e2e", "gpu", "mutation", "tools"}


def test_names_of_test_files_are_unique() -> None:
    """The tables of planted faults name test files by their stems."""
    found = Counter(path.name for path in ROOT.glob("tests/**/test_*.py"))
    assert {name for name, n in found.items() if n > 1} == set()
