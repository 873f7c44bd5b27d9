"""What `sweep.yaml` says: a base configuration, and what is varied."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeseek.config.config import read_yaml_file
from modeseek.config.registry import METHODS
from modeseek.config.serialization import suggest_name
from modeseek.reports.settings_diff import format_setting

Plain = Any
_KEYS = ("base", "prompts", "axes", "methods", "seeds")


@dataclass(frozen=True)
class Choice:
    """One of the things that an axis, or the list of methods, offers.

    Attributes:
        label: for people, and for the names of folders.
        settings: by dotted place, as `--set` takes them.
    """

    label: str
    settings: Mapping[str, Plain]


@dataclass(frozen=True)
class SweepAxis:
    """One thing that is varied.

    Attributes:
        name: its dotted place.
        choices: its values.
    """

    name: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class SweepSpec:
    """All of a `sweep.yaml`.

    Attributes:
        base: what all jobs have in common, as plain data of a run's configuration.
        axes: what is varied; their product is taken.
        methods: methods, each with settings of its own.
        seeds: of every job.
        plain: the file's data, the base written out.
    """

    base: Mapping[str, Plain]
    axes: tuple[SweepAxis, ...]
    methods: tuple[Choice, ...]
    seeds: tuple[int, ...]
    plain: Mapping[str, Plain]

    @property
    def size(self) -> int:
        """Number of jobs."""
        total = len(self.methods) * len(self.seeds)
        for axis in self.axes:
            total *= len(axis.choices)
        return total


def read_spec(path: Path) -> SweepSpec:
    """Reads a `sweep.yaml`, or the folder of a sweep whose `config.yaml` shall be used again.

    Raises:
        ValueError: it is none; one line that names the place.
        OSError: it cannot be read.
    """
    return parse_spec(read_yaml_file(path), path.name, path.parent)


def parse_spec(plain: Plain, name: str = "sweep", base_folder: Path | None = None) -> SweepSpec:
    """The sweep that plain data describe.

    Args:
        plain: `base`, and any of `prompts`, `axes`, `methods`, `seeds`.
        name: of the file, for messages.
        beside: folder that a base given as a path is sought in.

    Raises:
        ValueError: something is missing, unknown or of the wrong kind.
        OSError: the base is a file that cannot be read.
    """
    if not isinstance(plain, dict):
        raise ValueError(f"{name} is no sweep: got {_short(plain)}; write base: with settings below, methods:, seeds:")
    if plain.get("verb", "sweep") != "sweep":
        raise ValueError(f"{name} is for the verb {plain['verb']}, not sweep; put its settings under base:")
    plain = {key: value for key, value in plain.items() if key != "verb"}
    for key in plain:
        if key not in _KEYS:
            raise ValueError(f"{name} has no part {_short(key)}; {suggest_name(key, _KEYS)}")
    base = _base(plain.get("base"), name, base_folder)
    axes = (*_prompts(plain.get("prompts"), name), *_axes(plain.get("axes"), name))
    twice = [axis.name for i, axis in enumerate(axes) if axis.name in {one.name for one in axes[:i]}]
    if twice:
        raise ValueError(f"{name}: {twice[0]} is varied twice; keep one of them")
    methods = _methods(plain.get("methods"), base, name)
    return SweepSpec(base, axes, methods, _seeds(plain.get("seeds"), base, name), {**plain, "base": dict(base)})


def _base(plain: Plain, name: str, beside: Path | None) -> Mapping[str, Plain]:
    if isinstance(plain, str):
        path = Path(plain) if beside is None else beside / plain
        plain = read_yaml_file(path)
    if plain is None:
        plain = {}
    if not isinstance(plain, dict):
        raise ValueError(f"{name}: base holds the settings of a run, or names a file: got {_short(plain)}")
    if plain.get("verb", "run") != "run":
        raise ValueError(f"{name}: base is for the verb {plain['verb']}, not run; name the config.yaml of a run")
    return {key: value for key, value in plain.items() if key != "verb"}


def _prompts(plain: Plain, name: str) -> tuple[SweepAxis, ...]:
    if plain is None:
        return ()
    if not isinstance(plain, list) or not plain or not all(isinstance(text, str) and text.strip() for text in plain):
        raise ValueError(f"{name}: prompts are a list of texts: got {_short(plain)}; write [a red cone, a blue cube]")
    return (_axis("prompts", [Choice(text, {"prompts": [text]}) for text in plain], name),)


def _axes(plain: Plain, name: str) -> tuple[SweepAxis, ...]:
    if plain is None:
        return ()
    if not isinstance(plain, dict):
        raise ValueError(f"{name}: axes are places with their values: got {_short(plain)}; write steps: [100, 200]")
    found = []
    for place, values in plain.items():
        if not isinstance(place, str):
            raise ValueError(f"{name}: an axis is a setting's place: got {_short(place)}; write steps or prior.problem")
        if place == "seed":
            raise ValueError(f"{name}: seeds have a part of their own; write seeds: instead of an axis seed")
        if isinstance(values, dict) and values:
            choices = [Choice(str(label), {place: value}) for label, value in values.items()]
        elif isinstance(values, list) and values:
            choices = [Choice(_label(value), {place: value}) for value in values]
        else:
            raise ValueError(
                f"{name}: axes.{place} is a list of values, or names with a value each: got {_short(values)}"
            )
        found.append(_axis(place, choices, name))
    return tuple(found)


def _axis(place: str, choices: Sequence[Choice], name: str) -> SweepAxis:
    _distinct([choice.label for choice in choices], f"{name}: {place}")
    return SweepAxis(place, tuple(choices))


def _methods(plain: Plain, base: Mapping[str, Plain], name: str) -> tuple[Choice, ...]:
    """A list of methods, or names with settings of their own; the base's method where there are none."""
    if plain is None:
        method = base.get("method", "msd")
        return (Choice(_label(method), {}),)
    choices = []
    if isinstance(plain, list) and plain:
        for method in plain:
            if not isinstance(method, str | dict):
                raise ValueError(f"{name}: a method is a name, or a name with its settings: got {_short(method)}")
            choices.append(Choice(_label(method), {"method": method}))
    elif isinstance(plain, dict) and plain:
        for label, settings in plain.items():
            if not isinstance(settings, dict | None):
                raise ValueError(
                    f"{name}: methods.{label} holds settings by their place: got {_short(settings)}; write for example "
                    "{method: sds, steps: 200}"
                )
            own = dict(settings or {})
            if "method" not in own and label in METHODS:
                own = {"method": label, **own}
            if "method" not in own:
                raise ValueError(
                    f"{name}: methods.{label} names no method; {suggest_name(label, METHODS)}; add method: NAME"
                )
            choices.append(Choice(str(label), own))
    else:
        raise ValueError(f"{name}: methods are a list, or names with settings: got {_short(plain)}; write [msd, sds]")
    _distinct([choice.label for choice in choices], f"{name}: methods")
    return tuple(choices)


def _seeds(plain: Plain, base: Mapping[str, Plain], name: str) -> tuple[int, ...]:
    seeds = [base.get("seed", 0)] if plain is None else plain
    if isinstance(seeds, int) and not isinstance(seeds, bool) and 1 <= seeds <= 10**6:
        seeds = list(range(seeds))
    if not isinstance(seeds, list) or not seeds or any(type(seed) is not int for seed in seeds):
        raise ValueError(f"{name}: seeds are a list of whole numbers, or how many: got {_short(plain)}; write 3")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{name}: a seed stands twice: got {_short(plain)}; leave one out")
    return tuple(seeds)


def _distinct(labels: Sequence[str], place: str) -> None:
    for index, label in enumerate(labels):
        if label in labels[:index]:
            raise ValueError(f"{place} has {label[:60]!r} twice; leave one out, or give them names: {{NAME: ...}}")


def _label(value: Plain) -> str:
    """A short name of a value: the kind, where it is one with settings."""
    if isinstance(value, dict) and len(value) == 1:
        return str(next(iter(value)))
    if isinstance(value, dict | list):
        return json.dumps(value, default=str)[:60]
    return format_setting(value)


def _short(plain: Plain) -> str:
    text = " ".join(repr(plain).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
