"""Single settings by their dotted place: `method.msd.bandwidth.fixed.h=0.1`."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from modeseek.config.serialization import Plain, Registry, suggest_name
from modeseek.config.yaml import read_yaml


def override(plain: dict[str, Plain], setting: str, registry: Registry, hint: type) -> dict[str, Plain]:
    """The plain data with one setting changed; a thing of another name than the one there takes its place.

    Args:
        plain: of a `hint`; not changed.
        setting: KEY=VALUE; the value is YAML.
        kinds: what names stand for.
        hint: the dataclass that `plain` describes.

    Raises:
        ValueError: no such place; the nearest is told.
    """
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise ValueError(f"a setting is KEY=VALUE: got {setting!r}; write for example optimizer.adam.lr=0.05")
    return _put(plain, key.split("."), read_yaml(text, key), registry, hint, "")


def _put(plain: Plain, keys: list[str], value: Plain, kinds: Registry, hint: Any, place: str) -> Plain:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    here = f"{place}.{key}" if place else key
    hint = _descendable(hint, kinds)
    if hint in kinds.tables:
        word, names = kinds.tables[hint]
        if key not in names:
            raise ValueError(f"{place}: unknown {word} {key!r}; {suggest_name(key, names)}")
        inner = plain.get(key) if isinstance(plain, dict) else None
        if not rest:
            return {key: value}
        return {key: _put({} if inner is None else inner, rest, value, kinds, names[key], here)}
    if not (isinstance(hint, type) and is_dataclass(hint)):
        raise ValueError(f"{place} holds one value: got {here}; write {place}=VALUE")
    known = [f.name for f in fields(hint) if f.init]
    if key not in known:
        raise ValueError(f"{place or 'a run'} has no setting {key!r}; {suggest_name(key, known)}")
    base = plain if isinstance(plain, dict) else {}
    return base | {key: _put(base.get(key), rest, value, kinds, get_type_hints(hint)[key], here)}


def _descendable(hint: Any, kinds: Registry) -> Any:
    """Of a union, the member that has settings."""
    members = get_args(hint) or (hint,)
    for member in members if hint not in kinds.tables else ():
        if member in kinds.tables or (isinstance(member, type) and is_dataclass(member)):
            return member
    return hint
