"""Table of the names of one kind of object in configurations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any


class Names(Mapping[str, Any]):
    """Names of dataclasses and functions of one kind.

    Args:
        entries: dataclass or function by name.
        earlier: present name by a name that earlier versions wrote: it is read, but not listed.
    """

    def __init__(self, entries: Mapping[str, Any], earlier: Mapping[str, str] = MappingProxyType({})) -> None:
        self.entries, self.earlier = dict(entries), dict(earlier)

    def __getitem__(self, name: str) -> Any:
        return self.entries[self.earlier.get(name, name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def name_of(self, value: Any) -> str | None:
        """Returns the name of a function, or of the class of an object; None if it has none."""
        return next((name for name, entry in self.entries.items() if value is entry or type(value) is entry), None)
