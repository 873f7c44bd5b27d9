"""Overrides of single settings by dotted key: `method.msd.bandwidth.fixed.h=0.1`."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from modeseek.config.config import Config
from modeseek.config.plugins import IMPORT_PATH
from modeseek.config.registry import REGISTRY
from modeseek.config.serialization import Plain, suggest_name
from modeseek.config.yaml import read_yaml


def override(plain: dict[str, Plain], setting: str) -> dict[str, Plain]:
    """Copy of plain data with one setting changed; another registered name replaces the current one with its settings.

    Args:
        plain: plain data of a `Config`; not modified.
        setting: KEY=VALUE, with a dotted key and a YAML value.

    Raises:
        ValueError: the key does not exist; the message suggests the nearest one.
    """
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise ValueError(f"a setting must be KEY=VALUE, got {setting!r}; try optimizer.adam.lr=0.05")
    return _set(plain, key.split("."), read_yaml(text, key), Config, "")


def _set(plain: Plain, keys: list[str], value: Plain, hint: Any, location: str) -> Plain:
    if not keys:
        return value
    hint = _select_settable(hint)
    length = _key_length(keys) if hint in REGISTRY.tables else 1
    key, rest = ".".join(keys[:length]), keys[length:]
    dotted = f"{location}.{key}" if location else key
    if hint in REGISTRY.tables:
        kind, names = REGISTRY.tables[hint]
        if key not in names:
            raise ValueError(f"{location}: unknown {kind} {key!r}; {suggest_name(key, names)}")
        inner = plain.get(key) if isinstance(plain, dict) else None
        if not rest:
            return {key: value}
        return {key: _set({} if inner is None else inner, rest, value, names[key], dotted)}
    if not (isinstance(hint, type) and is_dataclass(hint)):
        raise ValueError(f"{location} must be a single value, got {dotted}; try {location}=VALUE")
    known = [f.name for f in fields(hint) if f.init]
    if key not in known:
        raise ValueError(f"{location or 'a run'} has no setting {key!r}; {suggest_name(key, known)}")
    base = plain if isinstance(plain, dict) else {}
    return base | {key: _set(base.get(key), rest, value, get_type_hints(hint)[key], dotted)}


def _key_length(keys: list[str]) -> int:
    """Number of dotted parts of the first name: an import path package.module:Class has dots of its own."""
    path = next((n for n in range(1, len(keys) + 1) if ":" in keys[n - 1]), 1)
    return path if IMPORT_PATH.fullmatch(".".join(keys[:path])) else 1


def _select_settable(hint: Any) -> Any:
    """Member of a union type that has settings; the type itself if it is no union."""
    members = get_args(hint) or (hint,)
    for member in members if hint not in REGISTRY.tables else ():
        if member in REGISTRY.tables or (isinstance(member, type) and is_dataclass(member)):
            return member
    return hint
