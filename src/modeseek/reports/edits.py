"""Edits of a run for its page: the images that it started from, and the scores of the results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modeseek.reports.preview_images import Media, read_media
from modeseek.rundir.edit_records import EditRecord, read_edit_records

_MOST = 24  # rows and images in a page
_HEADS = (
    "Prompt", "Distance to the source", "Attributes of the prompt", "Attributes of the source prompt", "Margin",
    "Margin before",
)  # fmt: skip


@dataclass(frozen=True)
class Edits:
    """Edits of a run.

    Attributes:
        sources: caption and content of each image that was edited.
        heads: headings of the table of scores.
        rows: rows of the table, one for each of at most 24 results.
    """

    sources: tuple[tuple[str, Media], ...] = ()
    heads: tuple[str, ...] = _HEADS
    rows: tuple[tuple[str, ...], ...] = ()


def read_edits(run: Path) -> Edits:
    """Edits that a run exported; none for a run of anything else.

    Raises:
        ValueError: a file is damaged.
        OSError: a file cannot be read.
    """
    records = read_edit_records(run)[:_MOST]
    captions = {Path(record.image).name: f"Source: {record.source}" for record in records}
    found = [(caption, read_media(run / "media" / name)) for name, caption in captions.items()]
    sources = tuple((caption, media) for caption, media in found if media is not None and media.data is not None)
    return Edits(sources, rows=tuple(map(_row, records)))


def _row(record: EditRecord) -> tuple[str, ...]:
    shares = [_number(share, ".0%") for share in (record.target_share, record.source_share)]
    margins = [_number(margin, "+.4f") for margin in (record.margin, record.margin_before)]
    return (record.prompt, f"{record.distance:.4f}", *shares, *margins)


def _number(value: float | None, form: str) -> str:
    return "not computed" if value is None else format(value, form)
