"""Typed values as plain data and back, driven by their type hints alone.

A field whose type is a kind of thing (a method, a schedule of bandwidths, a weight) holds one of the types that a
table names for that kind: `{msd: {bandwidth: {fixed: {h: 0.1}}}}`, or the bare name where no settings are given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from torch import Tensor

Plain = Any
UNIONS = (UnionType, get_origin(Literal[0] | None))  # `a | b` of types, and of typing's own forms


class Registry:
    """What the names of each kind of thing stand for.

    Args:
        tables: by type hint: the word for such a thing and its names; values are frozen dataclasses or functions.
    """

    def __init__(self, tables: Mapping[Any, tuple[str, Mapping[str, Any]]]) -> None:
        self.tables = tables

    def serialize(self, value: Any, place: str = "config", hint: Any = None) -> Plain:
        """Plain data that says everything `value` holds, and that `read` makes the same of where `hint` is wanted.

        Raises:
            TypeError: something that has no name, like a function or a schedule of the user's own.
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
            return [self.serialize(part, f"{place}[{i}]") for i, part in enumerate(value)]
        kinds = [option for option in _options(hint) if option in self.tables]
        for kind in kinds or (self.tables if hint is None else ()):
            for name, thing in self.tables[kind][1].items():
                if value is thing:
                    return name
                if type(value) is thing:
                    return {name: self.serialize_fields(value, f"{place}.{name}")} if fields(thing) else name
        if is_dataclass(value) and not isinstance(value, type) and not kinds:
            return self.serialize_fields(value, place)
        raise TypeError(f"{place} cannot be written down: got {_short(value)}; use one of the named kinds")

    def serialize_fields(self, value: Any, place: str) -> dict[str, Plain]:
        """The fields of a dataclass as plain data."""
        hints = get_type_hints(type(value))
        return {
            f.name: self.serialize(getattr(value, f.name), f"{place}.{f.name}", hints[f.name])
            for f in fields(value)
            if f.init
        }

    def deserialize(self, hint: Any, plain: Plain, place: str = "config") -> Any:
        """The value of type `hint` that the plain data describe.

        Raises:
            ValueError: they do not; the line names the place, what was got and what to write.
        """
        if hint in self.tables:
            return self._named(*self.tables[hint], plain, place)
        origin = get_origin(hint)
        if origin in UNIONS:
            return self._any_of(_options(hint), plain, place)
        if origin is Literal:
            choices = get_args(hint)
            if plain not in choices or isinstance(plain, bool):
                raise ValueError(f"{place}: got {_short(plain)}; {suggest_name(plain, map(str, choices))}")
            return plain
        if origin is tuple:
            return self._tuple(get_args(hint), plain, place)
        if is_dataclass(hint) and isinstance(hint, type):
            return self._dataclass(hint, {} if plain is None else plain, place)
        return _scalar(hint, plain, place)

    def _any_of(self, options: tuple[Any, ...], plain: Plain, place: str) -> Any:
        if plain is None and NoneType in options:
            return None
        rest = [option for option in options if option is not NoneType]
        wordy = [o for o in rest if o in self.tables]
        if wordy and isinstance(plain, str | dict):
            return self.deserialize(wordy[0], plain, place)
        plainer = [o for o in rest if o not in self.tables] or rest
        return self.deserialize(plainer[0], plain, place)

    def _named(self, word: str, names: Mapping[str, Any], plain: Plain, place: str) -> Any:
        name, settings = plain, None
        if isinstance(plain, dict) and len(plain) == 1:
            ((name, settings),) = plain.items()
        if not isinstance(name, str):
            raise ValueError(
                f"{place}: a {word} is a name, or a name with its settings below: got {_short(plain)}; "
                f"known are {', '.join(names)}"
            )
        if name not in names:
            raise ValueError(f"{place}: unknown {word} {_short(name)}; {suggest_name(name, names)}")
        thing = names[name]
        if isinstance(thing, type):
            return self._dataclass(thing, {} if settings is None else settings, f"{place}.{name}")
        if settings is not None and settings != {}:
            raise ValueError(f"{place}.{name} has no settings: got {_short(settings)}; write the name alone")
        return thing

    def _tuple(self, hints: tuple[Any, ...], plain: Plain, place: str) -> tuple[Any, ...]:
        if not isinstance(plain, list | tuple):
            raise ValueError(f"{place}: a list is wanted: got {_short(plain)}; write [a, b]")
        if len(hints) == 2 and hints[1] is Ellipsis:
            hints = (hints[0],) * len(plain)
        if len(plain) != len(hints):
            raise ValueError(f"{place}: {len(hints)} values are wanted: got {len(plain)}; write [a, b]")
        return tuple(self.deserialize(h, p, f"{place}[{i}]") for i, (h, p) in enumerate(zip(hints, plain, strict=True)))

    def _dataclass(self, kind: type, plain: Plain, place: str) -> Any:
        if not isinstance(plain, dict):
            raise ValueError(f"{place}: settings are wanted, one a line: got {_short(plain)}; write name: value")
        known = {f.name: f for f in fields(kind) if f.init}
        for key in plain:
            if key not in known:
                raise ValueError(f"{place} has no setting {_short(key)}; {suggest_name(key, known)}")
        hints = get_type_hints(kind)
        for name, f in known.items():
            if name not in plain and f.default is MISSING and f.default_factory is MISSING:
                raise ValueError(f"{place} needs {name}: got none; write {place}.{name}")
        values = {name: self.deserialize(hints[name], value, f"{place}.{name}") for name, value in plain.items()}
        try:
            return kind(**values)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{place}: {' '.join(str(error).split())}") from error


def suggest_name(word: Any, known: Any) -> str:
    """The nearest of the known words, and all of them."""
    words = list(known)
    near = get_close_matches(word.lower()[:80], words, n=1, cutoff=0.5) if isinstance(word, str) else []
    return (f"did you mean {near[0]}? " if near else "") + f"known are {', '.join(words)}"


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in UNIONS else (hint,)


def _scalar(hint: Any, plain: Plain, place: str) -> Any:
    readers: dict[Any, tuple[str, Callable[[Plain], Any]]] = {
        bool: ("true or false", _bool),
        int: ("a whole number", _int),
        float: ("a number", _float),
        str: ("text (in quotes where YAML reads it otherwise)", _text),
        Path: ("a path", lambda p: Path(_text(p))),
        NoneType: ("null", _none),
    }
    if hint is Tensor or get_origin(hint) is Callable:
        raise ValueError(f"{place} takes what only Python can say: got {_short(plain)}; leave it null here")
    if hint not in readers:
        raise TypeError(f"{place} has the type {hint}, which no configuration can hold; give it a kind")
    wanted, reader = readers[hint]
    try:
        return reader(plain)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{place}: {wanted} is wanted: got {_short(plain)}") from error


def _bool(plain: Plain) -> bool:
    if not isinstance(plain, bool):
        raise ValueError
    return plain


def _int(plain: Plain) -> int:
    if isinstance(plain, bool) or not isinstance(plain, int) or abs(plain) >= 2**63:
        raise ValueError
    return plain


def _float(plain: Plain) -> float:
    if isinstance(plain, bool) or not isinstance(plain, int | float | str):
        raise ValueError
    return float(plain)  # a string too: YAML 1.1 reads 1e-3 as one


def _text(plain: Plain) -> str:
    if not isinstance(plain, str) or "\0" in plain:
        raise ValueError
    return plain


def _none(plain: Plain) -> None:
    if plain is not None:
        raise ValueError


def _short(plain: Plain) -> str:
    try:
        text = " ".join(repr(plain).split())
    except ValueError:  # Python prints no number of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."
