"""What a thing with settings says of itself, from its type hints and its docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from modeseek.config.registry import REGISTRY
from modeseek.config.serialization import UNIONS


@dataclass(frozen=True)
class Setting:
    """One setting, for people.

    Attributes:
        name: as typed.
        kind: what it holds.
        default: as typed, or None where it must be given.
        meaning: one sentence.
    """

    name: str
    kind: str
    default: str | None
    meaning: str


def summary(thing: Any) -> str:
    """The first line of its docstring."""
    return (inspect.getdoc(thing) or "").split("\n")[0]


def settings_of(thing: type) -> Iterator[Setting]:
    """All settings of a dataclass, in order."""
    hints, meanings = get_type_hints(thing), _meanings(inspect.getdoc(thing) or "")
    for f in fields(thing):
        made = f.default_factory() if f.default_factory is not MISSING else f.default
        default = None if made is MISSING else _typed(made)
        yield Setting(f.name, _words(hints[f.name]), default, meanings.get(f.name, ""))


def _typed(value: Any) -> str:
    plain = REGISTRY.serialize(value)
    return plain if isinstance(plain, str) and plain else next(iter(plain)) if isinstance(plain, dict) else repr(plain)


def _words(hint: Any) -> str:
    if hint in REGISTRY.tables:
        word, names = REGISTRY.tables[hint]
        return f"{word} ({', '.join(names)})"
    if get_origin(hint) in UNIONS:
        return " or ".join(_words(part) for part in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"[{', '.join('...' if part is Ellipsis else _words(part) for part in get_args(hint))}]"
    plain = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path", type(None): "null"}
    return plain.get(hint, getattr(hint, "__name__", str(hint)))


def _meanings(doc: str) -> dict[str, str]:
    """The entries of a docstring's Attributes section."""
    part = doc.partition("Attributes:\n")[2]
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8,}.*)*)", part, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
