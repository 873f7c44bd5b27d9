"""Paths in configurations: made absolute when a run begins, and found again from other folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from modeseek.config.config import Config, read_config
from modeseek.config.registry import REGISTRY
from modeseek.config.serialization import UNIONS, Plain
from modeseek.io.paths import PATH, PATH_OR_NAME, absolute_path
from modeseek.priors.pipeline.bundled_table import bundled_prior

Convert = Callable[[str, str, bool], Plain]  # path, dotted key, whether it may be a name instead -> path


def absolute_paths(plain: Plain, folder: Path | None = None, hint: Any = Config) -> Plain:
    """Plain data with its paths absolute.

    A relative path refers to `folder` where it exists there, else to the working folder. Where a name may stand for a
    path (a pipeline on the hub), only what exists is a path.

    Args:
        plain: plain data of a configuration, complete or not; not modified.
        folder: folder of the file that the data were read from.
        hint: type that the data describe.
    """
    return _map(hint, plain, lambda path, key, named: str(_absolute(path, folder, named)), "")


def with_absolute_paths(config: Config) -> Config:
    """Configuration with its paths absolute, relative ones in the working folder."""
    plain = config.to_dict()
    absolute = absolute_paths(plain)
    return config if absolute == plain else read_config(absolute)


def find_paths(plain: Plain, folder: Path, began_in: Callable[[], Path | None]) -> Plain:
    """Plain data of a run's `config.yaml` with paths that lead to files from anywhere.

    A relative path refers to the run folder, else to the working folder. An absolute path that leads nowhere is looked
    for where it lay relative to the run folder: the folder may have been moved, with what is in or around it.

    Args:
        plain: plain data of the configuration; not modified.
        folder: the run folder.
        began_in: function that returns the run folder when the run began, None if unknown.
    """
    folder = folder.absolute()

    def find(path: str, key: str, named: bool) -> str:
        given = Path(path).expanduser()
        if not given.is_absolute():
            return str(_absolute(path, folder, named)) if _exists(given, folder) or _exists(given, Path.cwd()) else path
        before = None if given.exists() else began_in()
        if before is None:
            return str(given)
        moved = Path(os.path.normpath(folder / os.path.relpath(given, before)))
        return str(moved if moved.exists() else given)

    return _map(Config, plain, find, "")


def missing_paths(plain: Plain) -> Iterator[tuple[str, str]]:
    """Dotted keys and paths of a configuration that lead nowhere; a name on the hub is none."""
    found: list[tuple[str, str]] = []

    def look(path: str, key: str, named: bool) -> str:
        given = Path(path).expanduser()
        if not given.exists() and (given.is_absolute() or not named):
            found.append((key, path))
        return path

    _map(Config, plain, look, "")
    yield from found


def absolute_name(text: str) -> str:
    """Absolute path of a file or folder that exists; a name that is no path stays."""
    return str(_absolute(text, None, named=True))


def absolute_setting(key: str, value: Plain, folder: Path | None = None) -> Plain:
    """Value of one setting by its dotted key, with its paths absolute."""
    keys = key.split(".")
    plain = value
    for name in reversed(keys):
        plain = {name: plain}
    plain = absolute_paths(plain, folder)
    for name in keys:
        plain = plain[name]
    return plain


def _exists(path: Path, folder: Path) -> bool:
    return (folder / path).exists()


def _absolute(path: str, folder: Path | None, named: bool) -> str | Path:
    if named and bundled_prior(path) is not None:
        return path
    given = Path(path).expanduser()
    if folder is not None and _exists(given, folder):
        return absolute_path(path, folder)
    if named and not given.is_absolute() and not given.exists():
        return path
    return absolute_path(path)


def _map(hint: Any, plain: Plain, convert: Convert, key: str) -> Plain:
    """Plain data of a type with its paths converted; what does not describe the type stays as it is."""
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    if hint is Path or PATH in marks or PATH_OR_NAME in marks:
        return convert(str(plain), key, PATH_OR_NAME in marks) if plain and isinstance(plain, str | Path) else plain
    if hint in REGISTRY.tables:
        return _map_named(REGISTRY.tables[hint][1], plain, convert, key)
    if get_origin(hint) in UNIONS:
        for option in get_args(hint):
            plain = _map(option, plain, convert, key)
        return plain
    if get_origin(hint) is tuple and isinstance(plain, list | tuple):
        hints = get_args(hint)
        hints = hints[:1] * len(plain) if hints[1:] == (Ellipsis,) else hints
        if len(hints) != len(plain):
            return plain
        return [_map(h, part, convert, f"{key}[{i}]") for i, (h, part) in enumerate(zip(hints, plain, strict=True))]
    if isinstance(hint, type) and is_dataclass(hint) and isinstance(plain, dict):
        return _map_fields(hint, plain, convert, key)
    return plain


def _map_named(names: Mapping[str, Any], plain: Plain, convert: Convert, key: str) -> Plain:
    """Plain data of a registered object: its name, or its name with its settings."""
    if not isinstance(plain, dict) or len(plain) != 1:
        return plain
    ((name, settings),) = plain.items()
    entry = names.get(name) if isinstance(name, str) else None
    if not isinstance(entry, type) or not isinstance(settings, dict):
        return plain
    return {name: _map_fields(entry, settings, convert, f"{key}.{name}")}


def _map_fields(cls: type, plain: dict[str, Plain], convert: Convert, key: str) -> dict[str, Plain]:
    hints = _marked_hints(cls)
    return {
        name: _map(hints[name], value, convert, f"{key}.{name}".lstrip(".")) if name in hints else value
        for name, value in plain.items()
    }


@cache
def _marked_hints(cls: type) -> Mapping[str, Any]:
    """Type hints of the fields of a dataclass by name, with the marks of paths."""
    return get_type_hints(cls, include_extras=True)
