"""Record of the edits that a run made: source, prompts and scores, `exports/edits.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeseek.rundir.record_files import read_rows, write_rows

RECORDS = Path("exports") / "edits.json"


@dataclass(frozen=True)
class EditRecord:
    """Scores of an edited image.

    Attributes:
        prompt: target prompt.
        source: source prompt.
        image: path of the image that it started from, relative to the run folder.
        distance: mean squared difference to that image, of pixels in [0, 1].
        target_share: share of the target prompt's attributes that the scene classifier finds in the result, in
            [0, 1]; None for prompts that are no captions of scenes.
        source_share: share of the source prompt's attributes, likewise.
        margin: denoising loss under the source prompt minus that under the target prompt, of the result: above 0 the
            prior finds it likelier under the target; None where it was not computed.
        margin_before: the same of the image that it started from.
    """

    prompt: str
    source: str
    image: str
    distance: float
    target_share: float | None = None
    source_share: float | None = None
    margin: float | None = None
    margin_before: float | None = None


def write_edit_records(run: Path, records: Sequence[EditRecord]) -> None:
    """Writes the records of the edits of a run folder.

    Raises:
        OSError: the file cannot be written.
    """
    write_rows(run, RECORDS, records)


def read_edit_records(run: Path) -> tuple[EditRecord, ...]:
    """Reads the records of the edits of a run folder; none where it edited nothing.

    Raises:
        ValueError: the file is damaged.
        OSError: it cannot be read.
    """
    return read_rows(run, RECORDS, EditRecord)
