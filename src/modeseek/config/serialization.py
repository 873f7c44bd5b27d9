"""Serialization of typed values as plain data and back, driven by type hints.

A field of a registered kind (a method, a bandwidth schedule, a weight) is a name from the registry's table of that
kind, with settings or alone: `{msd: {bandwidth: {fixed: {h: 0.1}}}}`, `{sds: {weight: uniform}}`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from torch import Tensor

from modeseek.config.names import Names
from modeseek.io.errors import one_line

Plain = Any
UNIONS = (UnionType, get_origin(Literal[0] | None))  # `a | b` of classes, and of typing forms


class Registry:
    """Registry of names: one table of frozen dataclasses and functions per kind.

    Args:
        tables: type hint -> (name of the kind, {name: dataclass or function}).
    """

    def __init__(self, tables: Mapping[Any, tuple[str, Mapping[str, Any]]]) -> None:
        self.tables = {
            hint: (kind, names if isinstance(names, Names) else Names(names)) for hint, (kind, names) in tables.items()
        }

    def serialize(self, value: Any, location: str = "config", hint: Any = None) -> Plain:
        """Plain data of a value, from which `deserialize(hint, ...)` restores an equal one.

        Raises:
            TypeError: the value holds an unregistered object, such as a custom function or schedule.
        """
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | str):
            return int(value) if isinstance(value, int) else str(value)
        if isinstance(value, float):  # NumPy's float64 is one too
            return float(value) if math.isfinite(value) else str(float(value))
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, tuple | list):
            return [self.serialize(part, f"{location}[{i}]") for i, part in enumerate(value)]
        kinds = [option for option in _options(hint) if option in self.tables]
        for kind in kinds or (self.tables if hint is None else ()):
            name = self.tables[kind][1].name_of(value)
            if name is not None and (not is_dataclass(value) or isinstance(value, type) or not fields(value)):
                return name
            if name is not None:
                return {name: self.serialize_fields(value, f"{location}.{name}")}
        if is_dataclass(value) and not isinstance(value, type) and not kinds:
            return self.serialize_fields(value, location)
        raise TypeError(
            f"{location} cannot be serialized, got {_short(value)}; try a registered name, "
            "or for a method, prior or generator a dataclass in a module"
        )

    def serialize_fields(self, value: Any, location: str) -> dict[str, Plain]:
        """Fields of a dataclass as plain data, by name."""
        hints = hints_of(type(value))
        return {
            f.name: self.serialize(getattr(value, f.name), f"{location}.{f.name}", hints[f.name])
            for f in fields(value)
            if f.init
        }

    def deserialize(self, hint: Any, plain: Plain, location: str = "config") -> Any:
        """Value of type `hint` described by plain data.

        Raises:
            ValueError: the data do not describe one; the message names the dotted key and the data.
        """
        if hint in self.tables:
            return self._named(*self.tables[hint], plain, location)
        origin = get_origin(hint)
        if origin in UNIONS:
            return self._any_of(_options(hint), plain, location)
        if origin is Literal:
            choices = get_args(hint)
            if plain not in choices or isinstance(plain, bool):
                raise ValueError(f"{location}: unknown value {_short(plain)}; {suggest_name(plain, map(str, choices))}")
            return plain
        if origin is tuple:
            return self._tuple(get_args(hint), plain, location)
        if is_dataclass(hint) and isinstance(hint, type):
            return self._dataclass(hint, {} if plain is None else plain, location)
        return _scalar(hint, plain, location)

    def _any_of(self, options: tuple[Any, ...], plain: Plain, location: str) -> Any:
        if plain is None and NoneType in options:
            return None
        rest = [option for option in options if option is not NoneType]
        registered = [o for o in rest if o in self.tables]
        if registered and isinstance(plain, str | dict):
            return self.deserialize(registered[0], plain, location)
        others = [o for o in rest if o not in self.tables] or rest
        return self.deserialize(others[0], plain, location)

    def _named(self, kind: str, names: Mapping[str, Any], plain: Plain, location: str) -> Any:
        name, settings = plain, None
        if isinstance(plain, dict) and len(plain) == 1:
            ((name, settings),) = plain.items()
        if not isinstance(name, str):
            raise ValueError(
                f"{location} must be a {kind} name, or a name with its settings, got {_short(plain)}; "
                f"known are {', '.join(names)}"
            )
        if name not in names:
            raise ValueError(f"{location}: unknown {kind} {_short(name)}; {suggest_name(name, names)}")
        entry = names[name]
        if isinstance(entry, type):
            return self._dataclass(entry, {} if settings is None else settings, f"{location}.{name}")
        if settings is not None and settings != {}:
            raise ValueError(f"{location}.{name} has no settings, got {_short(settings)}; try {location}: {name}")
        return entry

    def _tuple(self, hints: tuple[Any, ...], plain: Plain, location: str) -> tuple[Any, ...]:
        if not isinstance(plain, list | tuple):
            raise ValueError(f"{location} must be a list, got {_short(plain)}; try [a, b]")
        if len(hints) == 2 and hints[1] is Ellipsis:
            hints = (hints[0],) * len(plain)
        if len(plain) != len(hints):
            raise ValueError(f"{location} must have {len(hints)} values, got {len(plain)}; try [a, b]")
        return tuple(
            self.deserialize(h, p, f"{location}[{i}]") for i, (h, p) in enumerate(zip(hints, plain, strict=True))
        )

    def _dataclass(self, cls: type, plain: Plain, location: str) -> Any:
        if not isinstance(plain, dict):
            raise ValueError(f"{location} must hold settings, one per line, got {_short(plain)}; try name: value")
        known = {f.name: f for f in fields(cls) if f.init}
        for key in plain:
            if key not in known:
                raise ValueError(f"{location} has no setting {_short(key)}; {suggest_name(key, known)}")
        hints = hints_of(cls)
        for name, f in known.items():
            if name not in plain and f.default is MISSING and f.default_factory is MISSING:
                raise ValueError(f"{location} needs {name}, got none; set {location}.{name}")
        values = {name: self.deserialize(hints[name], value, f"{location}.{name}") for name, value in plain.items()}
        try:
            return cls(**values)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{location}: {one_line(error)}") from error


@cache
def hints_of(cls: type) -> Mapping[str, Any]:
    """Type hints of the fields of a dataclass by name, without `Annotated`."""
    return get_type_hints(cls)


def suggest_name(name: Any, known: Any) -> str:
    """Hint with the nearest known name and the list of all known names."""
    names = list(known)
    near = get_close_matches(name.lower()[:80], names, n=1, cutoff=0.5) if isinstance(name, str) else []
    return (f"did you mean {near[0]}? " if near else "") + f"known are {', '.join(names)}"


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in UNIONS else (hint,)


_SCALARS: dict[Any, tuple[str, Any, Callable[[Any], Any]]] = {  # expected, type of the plain data, conversion
    bool: ("true or false", bool, bool),
    int: ("an integer", int, int),
    float: ("a number", int | float | str, float),  # also strings: YAML 1.1 parses 1e-3 as a string
    str: ("text (quoted if YAML parses it otherwise)", str, str),
    Path: ("a path", str, Path),
    NoneType: ("null", NoneType, lambda _: None),
}


def _scalar(hint: Any, plain: Plain, location: str) -> Any:
    if hint is Tensor or get_origin(hint) is Callable:
        raise ValueError(f"{location} can be set in Python only, got {_short(plain)}; set it to null")
    if hint not in _SCALARS:
        raise TypeError(f"{location} must have a serializable type, got {hint}; register its kind")
    expected, kind, convert = _SCALARS[hint]
    valid = isinstance(plain, kind) and isinstance(plain, bool) == (hint is bool)
    valid = valid and not (hint is int and abs(plain) >= 2**63) and not (kind is str and "\0" in plain)
    try:
        if not valid:
            raise ValueError(f"not {expected}")
        return convert(plain)
    except (ValueError, OverflowError) as error:  # of float
        raise ValueError(f"{location} must be {expected}, got {_short(plain)}") from error


def _short(plain: Plain) -> str:
    try:
        text = one_line(repr(plain))
    except ValueError:  # Python refuses to print more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."
