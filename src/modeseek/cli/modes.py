"""`modeseek modes`: modes and cluster labels of a point set."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from modeseek.cli.terminal import print_grid
from modeseek.io.atomic import unused_path
from modeseek.io.points import read_point_table, write_csv
from modeseek.meanshift.modes import Modes, find_modes

_MAX_MODES = 30  # modes in the printed table
_MAX_COORDINATES = 8  # coordinates of each mode in the printed table


@dataclass(frozen=True)
class ModesCommand:
    """Find the modes of a point set, and the mode that each point belongs to.

    Mean shift with a Gaussian kernel (scikit-learn's MeanShift has a flat one): every point climbs the kernel density
    estimate of all points; points that converge to the same mode form a cluster. The number of clusters follows from
    the bandwidth. Nothing is written without --out.

    Examples:
      modeseek modes points.csv --bandwidth 0.5

      modeseek modes points.npy --bandwidth 0.5 --out labels.csv

      modeseek modes table.csv --columns height width --bandwidth 0.5
    """

    file: tyro.conf.Positional[Path]
    """Points file, one point per row: .npy of shape (n, d), or a table such as .csv, with or without a header line."""
    bandwidth: float
    """Kernel bandwidth: standard deviation in units of the data. Larger values merge clusters."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="CSV")] = None
    """Output file for the labels, one per point; the modes go to NAME-modes.csv. If it exists, a number is appended."""
    columns: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Columns of the coordinates, by name or by number from 1. Default: all, except an index, ids, dates and text; the
    output says which."""
    tol: float = 1e-6
    """Convergence tolerance: length of a step relative to the bandwidth."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs mean shift, prints the modes and the paths of the files."""
        if not (self.bandwidth > 0 and math.isfinite(self.bandwidth)):
            raise ValueError(f"--bandwidth must be positive and finite, got {self.bandwidth}")
        if not 0 < self.tol < 1:
            raise ValueError(f"--tol must be in (0, 1), got {self.tol}; try 1e-6")
        if self.out is not None and not self.out.absolute().parent.is_dir():
            raise ValueError(f"--out must lie in an existing folder, got {self.out}; try mkdir -p {self.out.parent}")
        table = read_point_table(self.file, self.columns)
        points = table.points
        names = table.names if table.header else tuple(f"x{i}" for i in range(points.shape[1]))
        print(f"{self.file.name}: {table.summary}")
        from rich.console import Console

        with Console(stderr=True).status(f"mean shift of {len(points)} points"):
            modes = find_modes(
                points, self.bandwidth, len(points), rng=torch.Generator().manual_seed(0), starts=points, tol=self.tol
            )
        if not modes.z.isfinite().all():
            raise ValueError(
                f"modes must be finite, got NaN or infinity at bandwidth {self.bandwidth:g}; scale the data"
            )
        _print_modes(modes, names, len(points), self.bandwidth)
        if self.out is not None:
            labels_path, modes_path = write_labels(self.out, modes)
            if labels_path != self.out:
                print(f"{self.out} exists and is kept.")
            print(f"Labels: {labels_path}\nModes: {modes_path}")


def _print_modes(modes: Modes, names: Sequence[str], n: int, bandwidth: float) -> None:
    """Prints the table of modes: the first ones on a terminal, all of them into a file or a pipe."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    m, d = modes.z.shape
    shown, width = (_MAX_MODES, _MAX_COORDINATES) if sys.stdout.isatty() else (m, d)
    print(f"{m} {'mode' if m == 1 else 'modes'} of {n} points at bandwidth {bandwidth:g}")
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("mode", "weight", "points", *names[:width]):
        table.add_column(Text(name), justify="right")
    counts = torch.bincount(modes.label[modes.label >= 0], minlength=m).tolist()
    for index in range(min(m, shown)):
        coordinates = [f"{x:.5g}" for x in modes.z[index, :width].tolist()]
        table.add_row(str(index), f"{modes.weight[index].item():.4f}", str(counts[index]), *coordinates)
    print_grid(table)
    if m > shown or d > width:
        print(f"Shown: {min(m, shown)} of {m} modes, {min(d, width)} of {d} coordinates; all with --out.")
    unconverged = int((modes.label < 0).sum())
    if unconverged:
        print(f"{unconverged} points did not converge (label -1); try a larger --tol or --bandwidth.")


def write_labels(out: Path, modes: Modes) -> tuple[Path, Path]:
    """Writes one label per point to `out` and the modes to `<stem>-modes.csv`; appends a number if a file exists.

    The coordinates of the modes are x0, x1, ... in the order in which the columns were taken.

    Raises:
        OSError: the folder is not writable.
    """
    labels_path = unused_path(out)
    modes_path = unused_path(labels_path.with_name(f"{labels_path.stem}-modes{labels_path.suffix}"))
    optional = [] if modes.log_prob is None else ["log_prob"]
    header = ["mode", "weight", *optional, *(f"x{i}" for i in range(modes.z.shape[1]))]
    columns = [modes.weight[:, None], *([] if modes.log_prob is None else [modes.log_prob[:, None]]), modes.z]
    rows = torch.cat(columns, 1).tolist()
    table = [header, *([i, *map(repr, row)] for i, row in enumerate(rows))]
    write_csv({labels_path: [["label"], *([label] for label in modes.label.tolist())], modes_path: table})
    return labels_path, modes_path
