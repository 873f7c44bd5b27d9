"""Methods, priors and generators of other packages: by entry point, or by import path `package.module:Class`.

Nothing of another package is imported before a name of it is looked up.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_type_hints

from modeseek.config.names import Names
from modeseek.io.errors import one_line

IMPORT_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", re.ASCII)


class PluginNames(Names):
    """Names of one kind, those of other packages after those of modeseek.

    A name of modeseek cannot be taken by another package; the class is then reached by its import path.

    Args:
        kind: name of the kind, for messages: method.
        entries: classes of modeseek by name.
        group: group of the entry points of other packages: modeseek.methods.
        members: attributes that every class of the kind has.
    """

    def __init__(self, kind: str, entries: Mapping[str, Any], group: str, members: tuple[str, ...]) -> None:
        super().__init__(entries)
        self.kind, self.group, self.members = kind, group, members

    def __getitem__(self, name: str) -> type:
        """Returns the class of a name or an import path.

        Raises:
            KeyError: no package has the name.
            ValueError: the package cannot be imported, or its object is no class of this kind; one line names it.
        """
        if name in self.entries:
            return self.entries[name]
        if IMPORT_PATH.fullmatch(name):
            return self._class(f"{self.kind} {name}", lambda: import_class(name))
        offers = self._offers(name)
        if not offers:
            raise KeyError(name)
        if offers[1:]:
            packages = " and ".join(package_of(offer) for offer in offers)
            raise ValueError(f"{self.kind} {name} is offered by {packages}; use an import path: {offers[0].value}")
        return self._class(f"{self.kind} {name} of the package {package_of(offers[0])}", offers[0].load)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        return name in self.entries or IMPORT_PATH.fullmatch(name) is not None or bool(self._offers(name))

    def __iter__(self) -> Iterator[str]:
        yield from self.entries
        yield from self.packages

    def __len__(self) -> int:
        return len(self.entries) + len(self.packages)

    @property
    def packages(self) -> dict[str, str]:
        """Names that other packages add, each with its packages; nothing is imported."""
        names = sorted({point.name for point in find_entry_points(self.group)} - self.entries.keys())
        return {name: " and ".join(package_of(offer) for offer in self._offers(name)) for name in names}

    def is_foreign(self, name: str) -> bool:
        """Returns whether a name is one of another package, or an import path."""
        return name in self and name not in self.entries

    def name_of(self, value: Any) -> str | None:
        """Returns the name of the class of an object; the import path where it has no name; None if neither."""
        name = super().name_of(value)
        cls = type(value)
        if name is not None or not self._fits(cls):
            return name
        for point in find_entry_points(self.group):
            module = sys.modules.get(point.module)
            if module is not None and getattr(module, point.attr, None) is cls and self._offers(point.name) == [point]:
                return point.name
        path = f"{cls.__module__}:{cls.__qualname__}"
        importable = cls.__module__ != "__main__" and IMPORT_PATH.fullmatch(path) is not None
        return path if importable and getattr(sys.modules.get(cls.__module__), cls.__name__, None) is cls else None

    def _offers(self, name: str) -> list[EntryPoint]:
        points = [] if name in self.entries else [p for p in find_entry_points(self.group) if p.name == name]
        return sorted(points, key=package_of)

    def _fits(self, cls: Any) -> bool:
        return isinstance(cls, type) and is_dataclass(cls) and all(hasattr(cls, member) for member in self.members)

    def _class(self, title: str, load: Callable[[], Any]) -> type:
        try:
            cls = load()
        except Exception as error:  # code of another package may raise anything
            reason = one_line(f"{type(error).__name__}: {error}", 200)
            raise ValueError(f"{title} cannot be imported: {reason}; correct or uninstall it") from error
        if not self._fits(cls):
            needs = ", ".join(self.members)
            raise ValueError(f"{title} must be a dataclass with {needs}, got {one_line(repr(cls), 80)}; correct it")
        try:
            missing = {f.name for f in fields(cls)} - get_type_hints(cls).keys()
        except (NameError, TypeError, SyntaxError) as error:
            raise ValueError(f"{title} has a field of unknown type: {one_line(error, 200)}; import the type") from error
        assert not missing
        return cls


def import_class(path: str) -> Any:
    """Returns the object of an import path `package.module:Class`; the import may raise anything."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def find_entry_points(group: str) -> tuple[EntryPoint, ...]:
    """Returns the entry points of a group in all installed packages, each once."""
    return _entry_points(group, tuple(sys.path))


def package_of(point: EntryPoint) -> str:
    """Returns the name of the package of an entry point."""
    return point.module.partition(".")[0] if point.dist is None else point.dist.name


@cache
def _entry_points(group: str, _path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return tuple(dict.fromkeys(entry_points(group=group)))
