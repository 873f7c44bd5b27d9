"""What ships: the size of the wheel, licences, and the check of `make wheel`."""

from __future__ import annotations

import importlib.util
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
FILES = ("modeseek/__init__.py", "modeseek-0.dist-info/METADATA")


@pytest.fixture(scope="module")
def check_wheel() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("check_wheel", ROOT / "tools" / "check_wheel.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module


def write_wheel(path: Path, *more: str, without: str = "none") -> Path:
    """A wheel with empty files of the names that must be there, but one."""
    data = [f"modeseek/data/{name}/SHA256SUMS" for name in ("scenes", "emoji", "judge")]
    licences = [f"modeseek-0.dist-info/licenses/{name}" for name in ("LICENSE", "NOTICE")]
    with zipfile.ZipFile(path / "modeseek.whl", "w") as wheel:
        for name in (*FILES, *data, *licences, *more):
            if without not in name:
                wheel.writestr(name, "")
    return path / "modeseek.whl"


def test_the_package_fits_the_wheel(check_wheel: ModuleType) -> None:
    """Uncompressed, so the wheel is smaller still: weights in half precision hardly shrink."""
    files = [path for path in (ROOT / "src" / "modeseek").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files) <= check_wheel.LARGEST == 60e6


def test_a_good_wheel_passes(check_wheel: ModuleType, tmp_path: Path) -> None:
    assert "modeseek.whl: 0.0 MB, 7 files" in check_wheel.check_contents(write_wheel(tmp_path))


@pytest.mark.parametrize("name", ["scenes", "emoji", "judge", "LICENSE", "NOTICE"])
def test_a_wheel_without_a_file_is_refused(check_wheel: ModuleType, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"must hold .*{name}"):
        check_wheel.check_contents(write_wheel(tmp_path, without=name))


@pytest.mark.parametrize("name", ["tools/bundled_priors/train.py", "tests/test_wheel.py", "modeseek_extra/a.py"])
def test_a_wheel_of_more_than_the_package_is_refused(check_wheel: ModuleType, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"the package alone, got {name}"):
        check_wheel.check_contents(write_wheel(tmp_path, name))


def test_a_large_wheel_is_refused(check_wheel: ModuleType, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path)
    with wheel.open("ab") as file:
        file.truncate(60_000_001)
    with pytest.raises(ValueError, match="at most 60 MB, got 60.0 MB"):
        check_wheel.check_contents(wheel)


def test_licences_of_the_training_data_ship() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert settings["license-files"] == ["LICENSE", "NOTICE"]
    notice = " ".join((ROOT / "NOTICE").read_text(encoding="utf-8").split())
    for words in (
        "Copyright (c) Microsoft Corporation",
        "The above copyright notice and this permission notice shall be included in all copies",
        "Noto Emoji",
        "Copyright Google",
        "Copyright (c) 2014 Mu-An Chiou",
        "None of the files below is part of modeseek",
    ):
        assert words in notice
    assert notice.count("Permission is hereby granted, free of charge") == 2  # the MIT licence, twice
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert "Fluent Emoji" in citation and "Noto Emoji" in citation
