"""`modeseek list`: runs, and the available methods, priors and generators with their settings."""

from __future__ import annotations

import json
import shlex
from collections import ChainMap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from modeseek.cli.list_runs import print_runs
from modeseek.cli.options import option
from modeseek.cli.settings_help import settings_of, summary
from modeseek.cli.terminal import print_grid
from modeseek.config.defaults import DEFAULT_PRIOR
from modeseek.config.lookup import look_up
from modeseek.config.method_checks import requirements
from modeseek.config.plugins import PluginNames
from modeseek.config.presets import Preset, preset_names, read_preset
from modeseek.config.registry import ALL_METHODS, GENERATORS, PRIORS
from modeseek.priors.pipeline.bundled_table import BUNDLED_PRIORS, BundledPrior, bundled_prior
from modeseek.priors.pipeline.loading import find_pipeline_folder
from modeseek.priors.pipeline.vocabulary import read_vocabulary


@dataclass(frozen=True)
class ListCommand:
    """List runs, methods, priors, generators, presets, or the words that a prior knows; with a name, all about it.

    Examples:
      modeseek list runs

      modeseek list methods

      modeseek list methods msd

      modeseek list presets dreamfusion

      modeseek list priors emoji

      modeseek list words emoji
    """

    kind: tyro.conf.Positional[
        Annotated[
            Literal["runs", "methods", "priors", "generators", "presets", "words"],
            option("runs|methods|priors|generators|presets|words", "Kind of entries to list."),
        ]
    ]
    name: tyro.conf.Positional[
        Annotated[
            str | None,
            option("[NAME]", "Name of a method, prior, generator or preset to show; of a prior for words."),
        ]
    ] = None
    folder: Path = Path("runs")
    """Folder to search for runs."""

    def run(self, argv: Sequence[str]) -> None:
        """Prints the list."""
        tables = {"methods": ALL_METHODS, "priors": PRIORS, "generators": GENERATORS}
        if self.kind == "runs":
            if self.name is not None:
                raise ValueError(f"list runs takes no name, got {self.name}; try modeseek inspect {self.name}")
            print_runs(self.folder)
        elif self.kind == "words":
            _print_words(self.name or DEFAULT_PRIOR)
        elif self.kind == "presets":
            _print_presets() if self.name is None else _print_preset(read_preset(self.name))
        elif self.name is None:
            _print_names(self.kind, tables[self.kind])
        elif self.kind == "priors" and (bundled := bundled_prior(self.name)) is not None:
            _print_bundled(bundled)
        else:
            names = ChainMap[str, Any](tables[self.kind], BUNDLED_PRIORS if self.kind == "priors" else {})  # pyright: ignore[reportArgumentType]
            found = look_up(self.kind[:-1], self.name, names)
            _print_settings(self.name, found, requirements(found) if self.kind == "methods" else ())


def _print_names(kind: str, names: PluginNames) -> None:
    width = max(map(len, names)) + 2
    for name, cls in names.entries.items():
        print(f"{name:<{width}}{summary(cls)}")
    if packages := names.packages:
        print("\nOf other packages:")
        for name, package in packages.items():
            print(f"{name:<{width}}{package}")
    if kind == "priors":
        print("\nText-to-image priors that ship with modeseek, --prior NAME:")
        for name, bundled in BUNDLED_PRIORS.items():
            print(f"{name:<{width}}{bundled.title}")
    print(f"\nmodeseek list {kind} NAME shows the settings of one{', or what it knows' if kind == 'priors' else ''}.")


def _print_bundled(prior: BundledPrior) -> None:
    folder = prior.card.parent
    files = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    rows = {
        "knows": prior.knows,
        "does not know": prior.lacks,
        "images": f"{prior.size[0]} x {prior.size[1]} pixels",
        "samples": f"{prior.steps} steps, guidance {prior.scale:g}",
        "view phrases": "none" if prior.views == "none" else f"up to --views {prior.views}",
        "examples": ", ".join(map(repr, prior.examples)),
        "files": f"{files / 1e6:.0f} MB in Stable Diffusion's format, {folder}",
        "exam": f"figures on the model card, {prior.card}",
        "licence": prior.licence,
    }
    print(f"{prior.name}: {prior.title}\n")
    for name, text in rows.items():
        print(f"  {name}: {text}")
    print(f'\nmodeseek image "{prior.examples[0]}" --prior {prior.name}, or ms.bundled("{prior.name}") in Python.')


def _print_settings(name: str, cls: type, about: Iterable[str] = ()) -> None:
    print(f"{name}: {summary(cls)}\n")
    for line in about:
        print(f"  {line}")
    for setting in settings_of(cls):
        print(f"  {setting.name}: {setting.kind}{'' if setting.default is None else ' = ' + setting.default}")
        if setting.meaning:
            print(f"      {setting.meaning}")


def _print_presets() -> None:
    names = preset_names()
    width = max(map(len, names)) + 2
    for preset in map(read_preset, names):
        print(f"{preset.name:<{width}}{preset.about} ({', '.join(preset.sections)})")
    print("\nmodeseek list presets NAME shows the settings of one, modeseek shape ... --preset NAME takes them.")


def _print_preset(preset: Preset) -> None:
    print(f"{preset.name}: {preset.about}\n\n  source: {preset.source}\n  differs: {preset.differs}")
    for verb, section in preset.sections.items():
        print(f"\n  modeseek {verb}:")
        for key, value in section.options.items():
            print(f"    --{key.replace('_', '-')} {shlex.quote(str(value))}")
        for key, value in section.settings.items():
            print(f"    --set {shlex.quote(f'{key}={json.dumps(value)}')}")


def _print_words(path: str) -> None:
    """Prints the words that a text-to-image prior was trained on, in columns."""
    source = find_pipeline_folder(path)
    vocabulary = read_vocabulary(source)
    if vocabulary is None:
        raise ValueError(f"{path} has no words.txt with the words that it knows; try scenes or emoji")
    from rich.columns import Columns

    named = bundled_prior(path)
    print(f"{path} knows {len(vocabulary.words):,} words" + ("" if named is None else f": {named.knows}") + ".")
    print_grid(Columns(sorted(vocabulary.words), equal=True, column_first=True))
