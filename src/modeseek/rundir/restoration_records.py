"""Record of the restorations that a run made: data, and scores of each result, `exports/results.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeseek.rundir.record_files import read_rows, write_rows

RECORDS = Path("exports") / "results.json"


@dataclass(frozen=True)
class RestorationRecord:
    """Scores of a restored image.

    Attributes:
        prompt: prompt of what the image shows.
        operator: what degraded it: inpaint, blur or downsample.
        noise: standard deviation of the noise of the data, pixels in [0, 1].
        degraded: path of the degraded image, relative to the run folder.
        difference: path of the image of the difference, relative to the run folder: to the truth where it is known,
            else of the degraded result to the data; grey is none.
        residual: root mean square of the degraded result minus the data, over what was measured, pixels in [0, 1].
        psnr: peak signal-to-noise ratio against the truth, dB; None where it is unknown.
        ssim: structural similarity to the truth, at most 1; None where it is unknown.
        psnr_before: the psnr of the least-squares image of the data alone; None where the truth is unknown.
    """

    prompt: str
    operator: str
    noise: float
    degraded: str
    difference: str
    residual: float
    psnr: float | None = None
    ssim: float | None = None
    psnr_before: float | None = None


def write_restoration_records(run: Path, records: Sequence[RestorationRecord]) -> None:
    """Writes the records of the restorations of a run folder.

    Raises:
        OSError: the file cannot be written.
    """
    write_rows(run, RECORDS, records)


def read_restoration_records(run: Path) -> tuple[RestorationRecord, ...]:
    """Reads the records of the restorations of a run folder; none where it restored nothing.

    Raises:
        ValueError: the file is damaged.
        OSError: it cannot be read.
    """
    return read_rows(run, RECORDS, RestorationRecord)
