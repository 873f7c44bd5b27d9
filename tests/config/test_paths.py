"""Paths in configurations: every one is known, absolute when a run begins, and found again from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest

from modeseek.config.config import Config
from modeseek.config.defaults import configure
from modeseek.config.paths import absolute_name, absolute_paths, absolute_setting, find_paths, missing_paths
from modeseek.config.registry import REGISTRY
from modeseek.io.paths import absolute_path

PATHS = {  # every setting that is a path, as plain data around it
    "prior.samples.path": {"prior": {"samples": {"path": "a.npy"}}},
    "prior.trained.path": {"prior": {"trained": {"path": "a.npy"}}},
    "prior.pipeline.path": {"prior": {"pipeline": {"path": "a.npy"}}},
    "prior.pipeline.config": {"prior": {"pipeline": {"path": "owner/name", "config": "a.npy"}}},
    "prior.pipeline.loras.path": {"prior": {"pipeline": {"path": "emoji", "loras": [{"path": "a.npy", "scale": 2}]}}},
    "prior.pipeline.embeddings.path": {"prior": {"pipeline": {"path": "emoji", "embeddings": [{"path": "a.npy"}]}}},
    "generator.points.start.file.path": {"generator": {"points": {"start": {"file": {"path": "a.npy"}}}}},
    "generator.drawing.start.svg.path": {"generator": {"drawing": {"start": {"svg": {"path": "a.npy"}}}}},
    "generator.splats.start.file.path": {"generator": {"splats": {"start": {"file": {"path": "a.npy"}}}}},
    "generator.latent.files": {"generator": {"latent": {"files": ["a.npy"]}}},
    "generator.pixels.files": {"generator": {"pixels": {"files": ["a.npy"]}}},
    "generator.field.files": {"generator": {"field": {"files": ["a.npy"]}}},
    "generator.painted.path": {"generator": {"painted": {"path": "a.npy"}}},
    "generator.surface.path": {"generator": {"surface": {"path": "a.npy"}}},
    "measurement.file": {"measurement": {"file": "a.npy"}},
    "measurement.mask": {"measurement": {"mask": "a.npy"}},
    "measurement.kernel": {"measurement": {"kernel": "a.npy"}},
    "photographs.items.file": {"photographs": {"items": [{"file": "a.npy", "azimuth": 0.0}]}},
    "photographs.capture.file": {"photographs": {"capture": {"file": "a.npy"}}},
}


def settings(hint: Any, key: str = "", seen: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any]]:
    """All settings of a type with their types, by dotted key without indices."""
    if isinstance(hint, list) or hint in seen:  # parameters of a Callable
        return
    if hint in REGISTRY.tables:
        for name, entry in REGISTRY.tables[hint][1].items():
            yield from settings(entry, f"{key}.{name}", (*seen, hint))
    elif isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint, include_extras=True)
        for f in fields(hint):
            if f.init:
                yield from settings(hints[f.name], f"{key}.{f.name}".lstrip("."), (*seen, hint))
    elif get_args(hint) and get_origin(hint) is not Annotated:
        for part in get_args(hint):
            yield from settings(part, key, seen)
    else:
        yield key, hint


def test_every_path_is_marked() -> None:
    marked = {key for key, hint in settings(Config) if hint is Path or get_origin(hint) is Annotated}
    named = {
        key for key, hint in settings(Config) if key.rsplit(".")[-1] in ("path", "file", "files", "folder", "config")
    }
    assert marked == named | {"measurement.mask", "measurement.kernel"} == set(PATHS)


@pytest.mark.parametrize("key", PATHS)
def test_relative_paths_become_absolute(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.npy").touch()
    text, here = repr(PATHS[key]), repr(str(tmp_path / "a.npy"))
    assert repr(absolute_paths(PATHS[key])) == text.replace("'a.npy'", here)
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "b")
    assert repr(absolute_paths(PATHS[key], tmp_path)) == text.replace("'a.npy'", here)  # beside its file
    (tmp_path / "b" / "a.npy").touch()
    assert repr(absolute_paths(PATHS[key], tmp_path)) == text.replace("'a.npy'", here)
    assert repr(absolute_paths(PATHS[key])) == text.replace("'a.npy'", repr(str(tmp_path / "b" / "a.npy")))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("emoji", "emoji"),  # the bundled prior, though there is such a folder
        ("./emoji", "{here}/emoji"),
        ("owner/name", "owner/name"),  # on the hub
        ("mine/model", "{here}/mine/model"),  # a folder
        ("mine/one file", "{here}/mine/one file"),
        ("mine/../mine/a=b", "{here}/mine/a=b"),
        ("~/model", "{home}/model"),
        ("link/model", "{here}/link/model"),  # a symbolic link stays
    ],
)
def test_names_and_folders(given: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("emoji", "mine/model", "mine/a=b", "home/model"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "mine" / "one file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    expected = expected.format(here=tmp_path, home=tmp_path / "home")
    assert absolute_name(given) == expected
    config = configure({"prior": {"pipeline": {"path": given}}, "generator": "latent"})
    assert config.prior.path == expected  # pyright: ignore[reportAttributeAccessIssue]


def test_two_dots_behind_a_link_lead_where_the_link_does(tmp_path: Path) -> None:
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "far" / "a.npy").touch()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    assert absolute_path("link/../a.npy", tmp_path).samefile(tmp_path / "far" / "a.npy")
    assert absolute_path("far/../far/a.npy", tmp_path) == tmp_path / "far" / "a.npy"


@pytest.mark.parametrize(
    ("given", "began_in", "found"),
    [
        ("{old}/data/a.npy", "{old}/runs/r", "{new}/data/a.npy"),  # all was moved together
        ("{old}/runs/r/own.npy", "{old}/runs/r", "{new}/runs/r/own.npy"),  # it lies in the run folder
        ("{new}/data/a.npy", "{old}/runs/r", "{new}/data/a.npy"),
        ("own.npy", None, "{new}/runs/r/own.npy"),
        ("a.npy", None, "{new}/data/a.npy"),  # the working folder, for runs of earlier versions
        ("gone.npy", None, "gone.npy"),
        ("{old}/gone.npy", "{old}/runs/r", "{old}/gone.npy"),
        ("{old}/data/a.npy", None, "{old}/data/a.npy"),
    ],
)
def test_paths_of_a_run_are_found(
    given: str, began_in: str | None, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"old": tmp_path / "old", "new": tmp_path / "new"}
    for file in ("runs/r/own.npy", "data/a.npy"):
        (tmp_path / "new" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "new" / file).touch()
    monkeypatch.chdir(tmp_path / "new" / "data")
    folder = None if began_in is None else Path(began_in.format(**names))
    plain = {"prior": {"samples": {"path": given.format(**names)}}, "verb": "run"}
    result = find_paths(plain, tmp_path / "new" / "runs" / "r", lambda: folder)
    expected = found.format(**names)
    assert result == {"prior": {"samples": {"path": expected}}, "verb": "run"}
    missing = list(missing_paths(result))
    assert missing == ([] if os.path.exists(expected) else [("prior.samples.path", expected)])


def test_a_setting_by_its_key(tmp_path: Path) -> None:
    (tmp_path / "a.npy").touch()
    assert absolute_setting("prior.samples.path", "a.npy", tmp_path) == str(tmp_path / "a.npy")
    assert absolute_setting("prior", {"samples": {"path": "a.npy"}}, tmp_path)["samples"]["path"] == str(
        tmp_path / "a.npy"
    )
    assert absolute_setting("name", "a.npy", tmp_path) == "a.npy" and absolute_setting("no.such", 3) == 3


def test_line_breaks_in_prompts_are_spaces() -> None:
    plain = {"prior": "emoji", "generator": "latent", "prompts": ["a red\ncone", "a\tb", "c  d"], "negative": "e\r\nf"}
    config = configure(plain)
    assert config.prompts == ("a red cone", "a b", "c  d") and config.negative == "e f"
    assert configure(plain, ['prompts=["x\\ny"]']).prompts == ("x y",)
