"""Parts of plain data that describe registered objects: name, settings, and fields that must be given."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from modeseek.config.registry import REGISTRY
from modeseek.config.serialization import Plain


def required_fields(kind: type) -> set[str]:
    """Names of the fields of a dataclass that have no default."""
    return {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}


def split_named(plain: Plain) -> tuple[str, dict[str, Plain]]:
    """Name and settings of a registered object; an empty name where the data describe none."""
    if isinstance(plain, str):
        return plain, {}
    ((name, settings),) = plain.items() if isinstance(plain, dict) and len(plain) == 1 else (("", None),)
    return (name, settings or {}) if isinstance(settings, dict | None) else ("", {})


def fields_of(value: Any) -> dict[str, Plain]:
    """Fields of a dataclass as plain data; none of None."""
    return {} if value is None else REGISTRY.serialize_fields(value, "config")
