"""`modeseek modes`: modes and labels of any point set."""

from __future__ import annotations

import csv
import io
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from modeseek.io.atomic import unused_path
from modeseek.io.points import read_points
from modeseek.meanshift.modes import Modes, find_modes

_SHOWN = 30  # modes in the table
_COORDINATES = 8  # of each


@dataclass(frozen=True)
class ModesCommand:
    """Find the modes of a point set, and which mode each point belongs to.

    Mean shift with a Gaussian kernel (scikit-learn's MeanShift has a flat one): every point climbs the kernel density
    estimate of all points; those that end at the same place are one cluster. The number of clusters is an answer,
    not a choice: it follows from the bandwidth. Nothing is written without --out.

    Examples:
      modeseek modes points.csv --bandwidth 0.5

      modeseek modes points.npy --bandwidth 0.5 --out labels.csv
    """

    file: tyro.conf.Positional[Path]
    """Points, one a row: .npy of shape (n, d), or .csv with an optional header line."""
    bandwidth: float
    """Standard deviation of the kernel, in units of the data. Larger ones join clusters."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="CSV")] = None
    """Write one label a point here, and the modes to ...-modes.csv beside it. Taken names get a number."""
    tol: float = 1e-6
    """A point has arrived when its next step is below this share of the bandwidth."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs it, prints the modes and where the files are."""
        if not (self.bandwidth > 0 and math.isfinite(self.bandwidth)):
            raise ValueError(f"a bandwidth is positive and finite: got {self.bandwidth}; pass the kernel's width")
        if self.out is not None and not self.out.absolute().parent.is_dir():
            raise ValueError(f"there is no folder {self.out.absolute().parent}: got --out {self.out}; make it first")
        points = read_points(self.file)
        from rich.console import Console

        with Console(stderr=True).status(f"{len(points)} points climb"):
            modes = find_modes(
                points, self.bandwidth, len(points), rng=torch.Generator().manual_seed(0), starts=points, tol=self.tol
            )
        _show(modes, len(points), self.bandwidth)
        if self.out is not None:
            labels_path, modes_path = write_labels(self.out, modes)
            if labels_path != self.out:
                print(f"{self.out} exists and was kept.")
            print(f"Labels: {labels_path}\nModes: {modes_path}")


def _show(modes: Modes, n: int, bandwidth: float) -> None:
    from rich.console import Console
    from rich.table import Table

    m, d = modes.z.shape
    table = Table(
        title=f"{m} {'mode' if m == 1 else 'modes'} of {n} points at bandwidth {bandwidth:g}",
        title_justify="left",
        title_style="bold",
        header_style="bold",
        pad_edge=False,
    )
    for name in ("mode", "weight", "points", *(f"x{i}" for i in range(min(d, _COORDINATES)))):
        table.add_column(name, justify="right")
    counts = torch.bincount(modes.label[modes.label >= 0], minlength=m).tolist()
    for index in range(min(m, _SHOWN)):
        place = [f"{x:.5g}" for x in modes.z[index, :_COORDINATES].tolist()]
        table.add_row(str(index), f"{modes.weight[index].item():.4f}", str(counts[index]), *place)
    Console().print(table)
    if m > _SHOWN or d > _COORDINATES:
        print(f"Shown: {min(m, _SHOWN)} of {m} modes, {min(d, _COORDINATES)} of {d} coordinates; --out writes all.")
    lost = int((modes.label < 0).sum())
    if lost:
        print(f"{lost} points did not arrive (label -1): raise --tol or the bandwidth.")


def write_labels(out: Path, modes: Modes) -> tuple[Path, Path]:
    """Writes one label a point to `out` and the modes to `<stem>-modes.csv` beside it; taken names get a number.

    Raises:
        OSError: the place cannot be written to.
    """
    labels_path = unused_path(out)
    modes_path = unused_path(labels_path.with_name(f"{labels_path.stem}-modes{labels_path.suffix}"))
    _write(labels_path, [["label"], *([label] for label in modes.label.tolist())])
    d = modes.z.shape[1]
    known = [] if modes.log_prob is None else ["log_prob"]
    header = ["mode", "weight", *known, *(f"x{i}" for i in range(d))]
    columns = [modes.weight[:, None], *([] if modes.log_prob is None else [modes.log_prob[:, None]]), modes.z]
    rows = torch.cat(columns, 1).tolist()
    try:
        _write(modes_path, [header, *([i, *map(repr, row)] for i, row in enumerate(rows))])
    except OSError:
        labels_path.unlink()
        raise
    return labels_path, modes_path


def _write(path: Path, rows: list[list[Any]]) -> None:
    """The whole file or nothing."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    scratch = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text.getvalue())
        scratch.chmod(0o644)
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
