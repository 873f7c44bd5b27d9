"""Flattening and comparison of nested settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ABSENT = "–"


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """All values by dotted name.

    `{"method": {"msd": {"tol": 0.1}}}` gives `method.msd.tol`: 0.1, and `method`: msd, the chosen type.
    """
    values: dict[str, Any] = {}
    for name, value in nested.items():
        if not isinstance(value, Mapping) or not value:
            values[f"{prefix}{name}"] = value
            continue
        kind, *others = value
        if not others and isinstance(value[kind], Mapping):
            values[f"{prefix}{name}"] = kind
        values |= flatten(value, f"{prefix}{name}.")
    return values


def differing(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Values that differ between settings, by dotted name, in the order of the settings; `ABSENT` where missing."""
    flattened = [flatten(nested) for nested in settings]
    names = dict.fromkeys(name for values in flattened for name in values)
    table = {name: [values.get(name, ABSENT) for values in flattened] for name in names}
    return {name: row for name, row in table.items() if len({repr(value) for value in row}) > 1}


def format_setting(value: Any) -> str:
    """A setting as text, in YAML notation."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(format_setting, value))}]"
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
