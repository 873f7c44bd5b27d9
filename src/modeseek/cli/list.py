"""`modeseek list`: runs, and the available methods, priors and generators with their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from modeseek.cli.lookup import look_up
from modeseek.cli.settings_help import settings_of, summary
from modeseek.cli.terminal import print_grid
from modeseek.config.registry import GENERATORS, PRIORS
from modeseek.methods import METHODS
from modeseek.priors.pipeline.bundled_table import BUNDLED_PRIORS, BundledPrior, bundled_prior
from modeseek.reports.tolerant_reading import observed_state
from modeseek.rundir.run_dir import find_runs


@dataclass(frozen=True)
class ListCommand:
    """List runs, methods, priors or generators; with a name, the settings of that one, or what a bundled prior knows.

    Examples:
      modeseek list runs

      modeseek list methods

      modeseek list methods msd

      modeseek list priors emoji
    """

    kind: tyro.conf.Positional[Literal["runs", "methods", "priors", "generators"]]
    """Kind of entries to list."""
    name: tyro.conf.Positional[Annotated[str | None, tyro.conf.arg(metavar="[NAME]")]] = None
    """Name of a method, prior or generator whose settings to show."""
    folder: Path = Path("runs")
    """Folder to search for runs."""

    def run(self, argv: Sequence[str]) -> None:
        """Prints the list."""
        tables: dict[str, dict[str, Any]] = {"methods": METHODS, "priors": PRIORS, "generators": GENERATORS}
        if self.kind == "runs":
            if self.name is not None:
                raise ValueError(f"list runs takes no name, got {self.name}; try modeseek inspect {self.name}")
            _print_runs(self.folder)
        elif self.name is None:
            _print_names(self.kind, tables[self.kind])
        elif self.kind == "priors" and (bundled := bundled_prior(self.name)) is not None:
            _print_bundled(bundled)
        else:
            names: dict[str, Any] = tables[self.kind] | (BUNDLED_PRIORS if self.kind == "priors" else {})
            _print_settings(self.name, look_up(self.kind[:-1], self.name, names))


def _print_runs(folder: Path) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    runs = find_runs(folder)
    if not runs:
        print(f"There are no runs in {folder}; create one with modeseek run or modeseek toy.")
        return
    table = Table(box=SIMPLE_HEAD)
    for heading in ("run", "state", "step", "calls", "seconds", "started"):
        table.add_column(heading, justify="left" if heading in ("run", "state") else "right", no_wrap=heading == "run")
    for run in runs:
        try:
            status = run.status
            row = (f"{status.step}/{status.steps}", str(status.calls), f"{status.seconds:.1f}", status.started[:16])
            table.add_row(run.path.name, observed_state(run, status), *row)
        except ValueError:
            table.add_row(run.path.name, "damaged", "", "", "", "")
    print_grid(table)


def _print_names(kind: str, names: Mapping[str, Any]) -> None:
    width = max(map(len, names)) + 2
    for name, cls in names.items():
        print(f"{name:<{width}}{summary(cls)}")
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


def _print_settings(name: str, cls: type) -> None:
    print(f"{name}: {summary(cls)}\n")
    for setting in settings_of(cls):
        print(f"  {setting.name}: {setting.kind}{'' if setting.default is None else ' = ' + setting.default}")
        if setting.meaning:
            print(f"      {setting.meaning}")
