"""Record of the photographs that a 3D shape matched, and how near its renders are: `exports/photographs.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeseek.rundir.record_files import read_rows, write_rows

RECORDS = Path("exports") / "photographs.json"


@dataclass(frozen=True)
class PhotographRecord:
    """Distance of a render of the shape from a photograph.

    Attributes:
        file: name of the image file, in a capture its path from the transforms.json.
        azimuth: azimuth of its camera, degrees.
        elevation: elevation of its camera, degrees.
        noise: standard deviation of the photograph's pixels that was assumed, pixels in [0, 1].
        residual: root mean square of the render minus the photograph, pixels in [0, 1].
        psnr: peak signal-to-noise ratio of the render against the photograph, dB.
        held_out: whether it was only compared with, not fitted.
    """

    file: str
    azimuth: float
    elevation: float
    noise: float
    residual: float
    psnr: float
    held_out: bool


def write_photograph_records(run: Path, records: Sequence[PhotographRecord]) -> None:
    """Writes the records of the photographs of a run folder.

    Raises:
        OSError: the file cannot be written.
    """
    write_rows(run, RECORDS, records)


def read_photograph_records(run: Path) -> tuple[PhotographRecord, ...]:
    """Reads the records of the photographs of a run folder; none for a run without.

    Raises:
        ValueError: the file is damaged.
        OSError: it cannot be read.
    """
    return read_rows(run, RECORDS, PhotographRecord)
