"""Help on the settings of a configurable dataclass, from its type hints and its docstring."""

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
    """Help on one setting.

    Attributes:
        name: name of the field, as typed on the command line.
        kind: description of its type.
        default: default value, as typed; None for a required setting.
        meaning: one sentence from the docstring; empty if there is none.
    """

    name: str
    kind: str
    default: str | None
    meaning: str


def summary(obj: Any) -> str:
    """First line of an object's docstring."""
    return (inspect.getdoc(obj) or "").split("\n")[0]


def settings_of(cls: type) -> Iterator[Setting]:
    """All settings of a dataclass, in order."""
    hints, meanings = get_type_hints(cls), _meanings(inspect.getdoc(cls) or "")
    for f in fields(cls):
        value = f.default_factory() if f.default_factory is not MISSING else f.default
        default = None if value is MISSING else _typed(value)
        yield Setting(f.name, _describe_type(hints[f.name]), default, meanings.get(f.name, ""))


def _typed(value: Any) -> str:
    plain = REGISTRY.serialize(value)
    return plain if isinstance(plain, str) and plain else next(iter(plain)) if isinstance(plain, dict) else repr(plain)


def _describe_type(hint: Any) -> str:
    if hint in REGISTRY.tables:
        word, names = REGISTRY.tables[hint]
        return f"{word} ({', '.join(names)})"
    if get_origin(hint) in UNIONS:
        return " or ".join(_describe_type(part) for part in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"[{', '.join('...' if part is Ellipsis else _describe_type(part) for part in get_args(hint))}]"
    plain = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path", type(None): "null"}
    return plain.get(hint, getattr(hint, "__name__", str(hint)))


def _meanings(doc: str) -> dict[str, str]:
    """Entries of a docstring's Attributes section, by name."""
    part = doc.partition("Attributes:\n")[2]
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8,}.*)*)", part, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
