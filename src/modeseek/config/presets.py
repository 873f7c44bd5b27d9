"""Presets: published settings of a method by name, `--preset dreamfusion`, each a YAML file of the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

from modeseek.config.config import read_yaml_file
from modeseek.config.registry import REGISTRY
from modeseek.config.serialization import suggest_name

PresetVerb = Literal["image", "shape", "svg", "edit"]
_VERBS = get_args(PresetVerb)
_NOT_OF_PRESETS = {"prompt", "prompts", "settings"}
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class PresetSection:
    """Settings of a preset for one command.

    Attributes:
        options: options of the command, used where they are not given.
        settings: settings of the run by dotted key; `--set` overrides them.
    """

    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Preset:
    """Published settings of a method.

    Attributes:
        name: name, as of its file.
        about: description, one phrase.
        source: paper and code that the settings are of.
        differs: what differs here from there.
        sections: settings by command, `image`, `shape`, `svg` or `edit`.
    """

    name: str
    about: str
    source: str
    differs: str
    sections: Mapping[str, PresetSection]


def preset_names() -> tuple[str, ...]:
    """Returns the names of the presets that ship with modeseek, in alphabetical order."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def read_preset(name: str) -> Preset:
    """Reads a preset.

    Args:
        name: name of a preset that ships with modeseek, or path of a YAML file of the same form.

    Raises:
        ValueError: an unknown name, or a file of another form.
        OSError: the file cannot be read.
    """
    own = Path(name).suffix.lower() in _SUFFIXES
    if not own and name not in preset_names():
        raise ValueError(f"unknown preset {name!r}: {suggest_name(name, preset_names())}; modeseek list presets")
    path = Path(name).expanduser() if own else _folder() / f"{name}.yaml"
    plain = read_yaml_file(path)
    parts = {key: plain.get(key, {}) for key in _VERBS if key in plain} if isinstance(plain, dict) else {}
    texts = ("about", "source", "differs")
    if not parts or plain.keys() - {*texts, *_VERBS} or not all(map(_is_section, parts.values())):
        raise ValueError(
            f"preset {path.name} must have about, source, differs and image, shape, svg or edit, each with options and "
            f"settings, got another form; see {_folder() / 'dreamfusion.yaml'}"
        )
    sections = {
        key: PresetSection(part.get("options") or {}, part.get("settings") or {}) for key, part in parts.items()
    }
    about, source, differs = (str(plain.get(key, "")) for key in texts)
    return Preset(path.stem, about, source, differs, sections)


def with_preset(
    verb: PresetVerb,
    name: str | None,
    options: Mapping[str, Any],
    types: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the options of a command's configuration, with a preset's where they are as by default.

    Where another method was given than the preset's, its settings of the method are left out.

    Args:
        verb: command of the run.
        name: name or path of a preset; None returns the options as they are.
        options: options by name; `settings` are KEY=VALUE texts, which follow those of the preset.
        types: type of each option, by name.
        defaults: value of each option that was not given, by name.

    Raises:
        ValueError: an unknown preset, one for the other command, or one with an option that the command lacks,
            or of the wrong type.
    """
    if name is None:
        return dict(options)
    preset = read_preset(name)
    if verb not in preset.sections:
        raise ValueError(f"preset {preset.name} must be for modeseek {verb}, got one for {', '.join(preset.sections)}")
    section, known = preset.sections[verb], types.keys() - _NOT_OF_PRESETS
    unknown = section.options.keys() - known
    if unknown:
        raise ValueError(
            f"preset {preset.name}: {verb} has no option {min(unknown)!r}; {suggest_name(min(unknown), sorted(known))}"
        )
    chosen = {
        key: REGISTRY.deserialize(types[key], value, f"preset {preset.name}: {key}")
        for key, value in section.options.items()
    }
    given = {key: value for key, value in options.items() if key in _NOT_OF_PRESETS or value != defaults.get(key)}
    merged = {**options, **chosen, **given}
    own = merged.get("method") == chosen.get("method")
    settings = [
        f"{key}={json.dumps(value)}" for key, value in section.settings.items() if own or not key.startswith("method.")
    ]
    if not own and "scale" not in given:
        merged["scale"] = options.get("scale")  # that of the preset is for its method
    return {**merged, "settings": (*settings, *options["settings"])}


def _is_section(plain: Any) -> bool:
    return (
        isinstance(plain, dict)
        and plain.keys() <= {"options", "settings"}
        and all(isinstance(part, dict | None) for part in plain.values())
    )


def _folder() -> Path:
    return Path(str(files("modeseek"))) / "presets"
