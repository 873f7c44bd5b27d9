"""Nested settings as one line each, and what differs between several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ABSENT = "–"


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every value under its dotted name.

    `{"method": {"msd": {"tol": 0.1}}}` has `method.msd.tol`: 0.1, and `method`: msd, the kind that was chosen.
    """
    found: dict[str, Any] = {}
    for name, value in nested.items():
        if not isinstance(value, Mapping) or not value:
            found[f"{prefix}{name}"] = value
            continue
        kind, *others = value
        if not others and isinstance(value[kind], Mapping):
            found[f"{prefix}{name}"] = kind
        found |= flatten(value, f"{prefix}{name}.")
    return found


def differing(several: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The dotted names whose values are not the same in all, each with its values; `ABSENT` where one has none."""
    told = [flatten(nested) for nested in several]
    names = dict.fromkeys(name for one in told for name in one)
    wide = {name: [one.get(name, ABSENT) for one in told] for name in names}
    return {name: values for name, values in wide.items() if len({repr(value) for value in values}) > 1}


def format_setting(value: Any) -> str:
    """A setting for people, as YAML has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(format_setting, value))}]"
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
