"""The examples run, are short, and converge as documented."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_there_are_three_and_each_is_tested() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == ["mean_shift_samples", "msd_mixture", "own_loop"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_it_is_under_sixty_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60


def printed(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out


def test_mean_shift_finds_the_three_clusters(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed("mean_shift_samples", capsys)
    found = re.findall(r"mode at \(([-+.\d]+), ([-+.\d]+)\) holds (\d+)%", out)
    assert len(found) == 3
    for x, y in ((-2.0, 0.0), (2.0, 0.5), (0.0, 3.0)):
        assert min((float(a) - x) ** 2 + (float(b) - y) ** 2 for a, b, _ in found) <= 0.2**2
    assert out.count("converged: True") == 2


def test_msd_ends_in_certified_modes(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed("msd_mixture", capsys)
    assert "certified modes: 50 of 50" in out
    assert float(re.search(r"to a mean: (\S+)", out)[1]) <= 1e-3


def test_a_custom_loop_reaches_the_ring(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed("own_loop", capsys)
    assert float(re.search(r"nearest mean: (\S+)", out)[1]) <= 0.2


def readme(word: str) -> str:
    """The one block of Python in the README that holds the word."""
    blocks = re.findall(r"```python\n(.*?)```", (EXAMPLES.parent / "README.md").read_text(), re.S)
    (code,) = [block for block in blocks if word in block]
    return code


def test_the_readme_loop_ends_in_modes() -> None:
    names: dict[str, object] = {}
    exec(readme("ms.surrogate"), names)
    assert names["method"].done(names["state"]).all()


def test_the_readme_run_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(readme("ms.run("), names)
    assert names["run"].status.state == "finished" and names["run"].path.is_relative_to("runs")
