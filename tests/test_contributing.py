"""The worked example of CONTRIBUTING.md, carried out in a copy of the package: three edits make a method known."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]
RUN = """
import shlex, sys
from modeseek.cli import main
for command in sys.stdin.read().splitlines():
    try:
        main(shlex.split(command)[1:])
    except SystemExit as end:
        assert not end.code, f"{command}: exit code {end.code}"
"""


def insert_after(path: Path, line: str, text: str) -> None:
    """Inserts text after the line of a file that begins so."""
    before, found, after = path.read_text(encoding="utf-8").partition(f"\n{line}")
    rest, newline, after = after.partition("\n")
    assert found, f"{path.name} has no line {line!r}"
    path.write_text(before + found + rest + newline + text + after, encoding="utf-8")


@pytest.mark.slow
def test_three_edits_make_a_method_known_to_every_command(tmp_path: Path) -> None:
    section = (
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Add a method")[2].partition("\n## ")[0]
    )
    blocks = re.findall(r"^( *)```(\w+)\n(.*?)\n\1```$", section, re.MULTILINE | re.DOTALL)
    assert [language for _, language, _ in blocks] == ["python", "python", "bibtex", "sh"]
    method, roster, entry, commands = (dedent(text) + "\n" for *_, text in blocks)
    name, cls = re.findall(r'"(\w+)": (\w+),', roster)[0]
    package = Path(shutil.copytree(ROOT / "src" / "modeseek", tmp_path / "src" / "modeseek", ignore=ignored))
    (package / "methods" / f"{name}.py").write_text(method, encoding="utf-8")
    importing, row = roster.split("\n\n")
    insert_after(package / "methods" / "__init__.py", "from __future__", f"\n{importing}")
    insert_after(package / "methods" / "__init__.py", "METHODS", row)
    with (package / "citations" / "references.bib").open("a", encoding="utf-8") as file:
        file.write(f"\n{entry}")

    environment = os.environ | {"PYTHONPATH": str(package.parent), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", RUN], input=commands, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert re.search(rf"^{name} +\w.*\n +2 calls per step, 4 guided$", ended.stdout, re.MULTILINE)
    assert f"@misc{{{name},\n  author = {{Hammersley" in ended.stdout
    commands_run = [shlex.split(line)[1] for line in commands.splitlines()]
    assert commands_run == ["methods", "cite", "run", "benchmark"]
    run, compared = (
        next((tmp_path / "runs").glob(f"{kind}*/report.html")).read_text("utf-8") for kind in (name, "benchmark")
    )
    assert all("Hammersley" in page for page in (run, compared))
    assert name in run and cls in compared and "eps(z, n) + eps(z, -n)" in compared


def ignored(folder: str, names: list[str]) -> list[str]:
    """Names that a copy of the package does not need: the weights that ship, and bytecode with checks of shapes."""
    return [name for name in names if "jaxtyping" in name or (name == "data" and Path(folder).name == "modeseek")]
