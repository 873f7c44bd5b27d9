"""Specification of a sweep (`sweep.yaml`): a base configuration, and the axes, methods and seeds to vary."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeseek.config.config import read_yaml_file
from modeseek.config.paths import absolute_paths, absolute_setting
from modeseek.config.prompts import clean_prompt
from modeseek.config.registry import ALL_METHODS
from modeseek.config.serialization import suggest_name
from modeseek.io.errors import one_line
from modeseek.io.paths import absolute_path
from modeseek.reports.settings_diff import format_setting

Plain = Any
_KEYS = ("base", "prompts", "axes", "methods", "seeds")


@dataclass(frozen=True)
class Choice:
    """One value of an axis, or one entry of the list of methods.

    Attributes:
        label: label for titles and names of folders.
        settings: settings to override, by dotted path, as `--set` takes them.
    """

    label: str
    settings: Mapping[str, Plain]


@dataclass(frozen=True)
class SweepSpec:
    """Specification of a sweep, whose jobs are the product of axes, methods and seeds.

    Attributes:
        base: settings common to all jobs, plain data of a run's configuration.
        axes: settings that are varied: choices by dotted path.
        methods: methods, each with its own settings.
        seeds: random seeds, each used for every setting and method.
        plain: data of the file, with the base resolved.
    """

    base: Mapping[str, Plain]
    axes: Mapping[str, tuple[Choice, ...]]
    methods: tuple[Choice, ...]
    seeds: tuple[int, ...]
    plain: Mapping[str, Plain]

    @property
    def size(self) -> int:
        """Number of jobs."""
        return math.prod(map(len, (*self.axes.values(), self.methods, self.seeds)))


def read_spec(path: Path) -> SweepSpec:
    """Reads a `sweep.yaml`, or the `config.yaml` in the folder of an earlier sweep.

    Raises:
        ValueError: the specification is invalid; one line that names the setting.
        OSError: the file cannot be read.
    """
    return parse_spec(read_yaml_file(path), path.name, path if path.is_dir() else path.parent)


def parse_spec(plain: Plain, name: str = "sweep", base_folder: Path | None = None) -> SweepSpec:
    """Parses the specification of a sweep from plain data.

    Args:
        plain: mapping with `base`, and any of `prompts`, `axes`, `methods`, `seeds`.
        name: name of the file, for messages.
        base_folder: folder to which a path given as `base` refers; None for the working folder.

    Raises:
        ValueError: something is missing, unknown or of the wrong type.
        OSError: the base is a file that cannot be read.
    """
    if not isinstance(plain, dict):
        raise ValueError(f"{name} must describe a sweep, got {_short(plain)}; write base:, methods: and seeds:")
    if plain.get("verb", "sweep") != "sweep":
        raise ValueError(f"{name} is for the verb {plain['verb']}, not sweep; put its settings under base:")
    plain = {key: value for key, value in plain.items() if key != "verb"}
    for key in plain:
        if key not in _KEYS:
            raise ValueError(f"{name} has no part {_short(key)}; {suggest_name(key, _KEYS)}")
    base = _base(plain.get("base"), name, base_folder)
    axes, prompts = _axes(plain.get("axes"), name, base_folder), _prompts(plain.get("prompts"), name)
    if prompts and "prompts" in axes:
        raise ValueError(f"{name}: prompts is varied twice; keep one of them")
    methods = _methods(plain.get("methods"), base, name, base_folder)
    seeds = _seeds(plain.get("seeds"), base, name)
    found: dict[str, Plain] = {"base": dict(base)}
    if axes:
        found["axes"] = {key: _plain_axis(plain["axes"][key], choices, key) for key, choices in axes.items()}
    if isinstance(plain.get("methods"), dict):
        found["methods"] = {choice.label: dict(choice.settings) for choice in methods}
    return SweepSpec(base, prompts | axes, methods, seeds, plain | found)


def _base(plain: Plain, name: str, base_folder: Path | None) -> Mapping[str, Plain]:
    folder = base_folder
    if isinstance(plain, str):
        path = absolute_path(plain, base_folder)
        plain, folder = read_yaml_file(path), path if path.is_dir() else path.parent
    if plain is None:
        plain = {}
    if not isinstance(plain, dict):
        raise ValueError(f"{name}: base must hold the settings of a run or name a file, got {_short(plain)}")
    if plain.get("verb", "run") != "run":
        raise ValueError(f"{name}: base is for the verb {plain['verb']}, not run; name the config.yaml of a run")
    return absolute_paths({key: value for key, value in plain.items() if key != "verb"}, folder)


def _prompts(plain: Plain, name: str) -> dict[str, tuple[Choice, ...]]:
    if plain is None:
        return {}
    if not isinstance(plain, list) or not plain or not all(isinstance(text, str) and text.strip() for text in plain):
        raise ValueError(f"{name}: prompts must be a list of texts, got {_short(plain)}; try [a red cone, a blue cube]")
    texts = map(clean_prompt, plain)
    return {"prompts": _distinct([Choice(text, {"prompts": [text]}) for text in texts], f"{name}: prompts")}


def _axes(plain: Plain, name: str, folder: Path | None) -> dict[str, tuple[Choice, ...]]:
    if plain is not None and not isinstance(plain, dict):
        raise ValueError(f"{name}: axes must map settings to values, got {_short(plain)}; write steps: [100, 200]")
    axes = {}
    for path, values in (plain or {}).items():
        if not isinstance(path, str):
            raise ValueError(f"{name}: an axis must name a setting, got {_short(path)}; write steps or prior.problem")
        if path == "seed":
            raise ValueError(f"{name}: seeds have a part of their own; write seeds: instead of an axis seed")
        if isinstance(values, dict) and values:
            labelled = [(str(label), value) for label, value in values.items()]
        elif isinstance(values, list) and values:
            labelled = [(_label(value), value) for value in values]
        else:
            raise ValueError(
                f"{name}: axes.{path} must be a list of values or map labels to values, got {_short(values)}"
            )
        choices = [Choice(label, {path: absolute_setting(path, value, folder)}) for label, value in labelled]
        axes[path] = _distinct(choices, f"{name}: {path}")
    return axes


def _plain_axis(given: Plain, choices: Sequence[Choice], key: str) -> Plain:
    """Plain data of an axis as given, or, where its paths became absolute, its values by the labels that they had."""
    values = [choice.settings[key] for choice in choices]
    same = values == (list(given.values()) if isinstance(given, dict) else given)
    return given if same else {choice.label: value for choice, value in zip(choices, values, strict=True)}


def _methods(plain: Plain, base: Mapping[str, Plain], name: str, folder: Path | None) -> tuple[Choice, ...]:
    """Methods from a list, or from labels with their own settings; the method of the base if there are none."""
    if plain is None:
        return (Choice(_label(base.get("method", "msd")), {}),)
    choices = []
    if isinstance(plain, list) and plain:
        for method in plain:
            if not isinstance(method, str | dict):
                raise ValueError(f"{name}: a method must be a name or a name with settings, got {_short(method)}")
            choices.append(Choice(_label(method), {"method": method}))
    elif isinstance(plain, dict) and plain:
        for label, settings in plain.items():
            if not isinstance(settings, dict | None):
                raise ValueError(
                    f"{name}: methods.{label} must hold settings by dotted path, got {_short(settings)}; "
                    "try {method: sds, steps: 200}"
                )
            own = {key: absolute_setting(str(key), value, folder) for key, value in (settings or {}).items()}
            if "method" not in own and label in ALL_METHODS:
                own = {"method": label, **own}
            if "method" not in own:
                raise ValueError(
                    f"{name}: methods.{label} names no method; {suggest_name(label, ALL_METHODS)}; add method: NAME"
                )
            choices.append(Choice(str(label), own))
    else:
        raise ValueError(f"{name}: methods must be a list or map labels to settings, got {_short(plain)}; try [msd]")
    return _distinct(choices, f"{name}: methods")


def _seeds(plain: Plain, base: Mapping[str, Plain], name: str) -> tuple[int, ...]:
    seeds = [base.get("seed", 0)] if plain is None else plain
    if isinstance(seeds, int) and not isinstance(seeds, bool) and 1 <= seeds <= 10**6:
        seeds = list(range(seeds))
    if not isinstance(seeds, list) or not seeds or any(type(seed) is not int for seed in seeds):
        raise ValueError(f"{name}: seeds must be a list of integers or their number, got {_short(plain)}; write 3")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{name}: seeds must be distinct, got {_short(plain)}; remove one")
    return tuple(seeds)


def _distinct(choices: Sequence[Choice], title: str) -> tuple[Choice, ...]:
    labels = [choice.label for choice in choices]
    for index, label in enumerate(labels):
        if label in labels[:index]:
            raise ValueError(f"{title} has {label[:60]!r} twice; remove one, or give them names: {{NAME: ...}}")
    return tuple(choices)


def _label(value: Plain) -> str:
    """Short label of a value: its type, if it has settings."""
    if isinstance(value, dict) and len(value) == 1:
        return str(next(iter(value)))
    if isinstance(value, dict | list):
        return json.dumps(value, default=str)[:60]
    return format_setting(value)


def _short(plain: Plain) -> str:
    text = one_line(repr(plain))
    return text if len(text) <= 60 else f"{text[:57]}..."
