"""Record of the edits that a run made: source, prompts and scores, `exports/edits.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from modeseek.io.atomic import write_atomic

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
    write_atomic(run / RECORDS, json.dumps([asdict(record) for record in records], indent=1))


def read_edit_records(run: Path) -> tuple[EditRecord, ...]:
    """Reads the records of the edits of a run folder; none where it edited nothing.

    Raises:
        ValueError: the file is damaged.
        OSError: it cannot be read.
    """
    path = run / RECORDS
    if not path.exists():
        return ()
    names = {field.name for field in fields(EditRecord)}
    try:
        return tuple(EditRecord(**{name: row[name] for name in names}) for row in json.loads(path.read_text("utf-8")))
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{RECORDS} is damaged: {error}; resume the run, which writes it again") from error
