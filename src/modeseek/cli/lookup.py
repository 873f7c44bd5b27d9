"""Names that people type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

Named = TypeVar("Named")


def look_up(kind: str, name: str, known: Mapping[str, Named]) -> Named:
    """What the name stands for, or ValueError with the nearest names there are."""
    if name in known:
        return known[name]
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ValueError(f"unknown {kind} {name!r}: {hint}known are {', '.join(known)}")


def look_up_all(kind: str, names: Iterable[str], known: Mapping[str, Named]) -> tuple[Named, ...]:
    """All of them, each once, in the order given; every one there is where none is given."""
    wanted = list(dict.fromkeys(names))
    return tuple(look_up(kind, name, known) for name in wanted) if wanted else tuple(known.values())
