"""Lookup of names typed on the command line, with suggestions for misspelt ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

Named = TypeVar("Named")


def look_up(kind: str, name: str, known: Mapping[str, Named]) -> Named:
    """Value of a name.

    Raises:
        ValueError: the name is unknown; the message suggests the nearest known one.
    """
    if name in known:
        return known[name]
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ValueError(f"unknown {kind} {name!r}: {hint}known are {', '.join(known)}")


def look_up_all(kind: str, names: Iterable[str], known: Mapping[str, Named]) -> tuple[Named, ...]:
    """Values of names, each once, in the given order; all known values if no name is given.

    Raises:
        ValueError: a name is unknown.
    """
    unique = list(dict.fromkeys(names))
    return tuple(look_up(kind, name, known) for name in unique) if unique else tuple(known.values())
