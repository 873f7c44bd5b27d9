"""Lookup of names that a person typed, with suggestions for misspelt ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from modeseek.config.serialization import suggest_name

Named = TypeVar("Named")


def look_up(kind: str, name: str, known: Mapping[str, Named]) -> Named:
    """Value of a name.

    Raises:
        ValueError: the name is unknown; the message suggests the nearest known one.
    """
    if name in known:
        return known[name]
    raise ValueError(f"unknown {kind} {name!r}: {suggest_name(name, known)}")


def look_up_all(kind: str, names: Iterable[str], known: Mapping[str, Named]) -> tuple[Named, ...]:
    """Values of names, each once, in the given order; all known values if no name is given.

    Raises:
        ValueError: a name is unknown.
    """
    unique = list(dict.fromkeys(names))
    return tuple(look_up(kind, name, known) for name in unique) if unique else tuple(known.values())
