"""Edits, restorations and photographs of a run for its page: the images that were given, and scores of the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeseek.reports.preview_images import Media, read_media
from modeseek.rundir.edit_records import EditRecord, read_edit_records
from modeseek.rundir.photograph_records import PhotographRecord, read_photograph_records
from modeseek.rundir.restoration_records import RestorationRecord, read_restoration_records

_MOST = 24  # rows and images in a page
_HEADS = (
    "Prompt", "Distance to the source", "Attributes of the prompt", "Attributes of the source prompt", "Margin",
    "Margin before",
)  # fmt: skip

_NOTE = (
    "Distance: mean squared difference of pixels in [0, 1]. Attributes: share of what a prompt names that the scene "
    "classifier finds in the result. Margin: denoising loss under the source prompt minus that under the prompt, of "
    "the result and of the source; above 0 the prior finds the image likelier under the prompt."
)
_RESTORATION_HEADS = ("Prompt", "Residual", "Residual over noise", "PSNR", "PSNR of the data", "SSIM")
_RESTORATION_NOTE = (
    "Residual: root mean square of the degraded result minus the data, pixels in [0, 1]; over the noise it is about 1 "
    "where the result fits the data as well as the truth does. PSNR in dB and SSIM are against the truth, where it is "
    "known; PSNR of the data is that of their least-squares image."
)
_PHOTOGRAPH_HEADS = ("Photograph", "Azimuth", "Elevation", "Residual", "Residual over noise", "PSNR", "Held out")
_PHOTOGRAPH_NOTE = (
    "Angles in degrees. Residual: root mean square of the render from the photograph's camera minus the photograph, "
    "pixels in [0, 1]; over the noise it is below 1 where the render is nearer than the noise asks. PSNR in dB. The "
    "shape was not fitted to those held out; views between the photographs are the prior's guess."
)


@dataclass(frozen=True)
class Edits:
    """Edits of a run.

    Attributes:
        sources: caption and content of each image that was edited.
        heads: headings of the table of scores.
        rows: rows of the table, one for each of at most 24 results.
        note: what the columns are.
    """

    sources: tuple[tuple[str, Media], ...] = ()
    heads: tuple[str, ...] = _HEADS
    rows: tuple[tuple[str, ...], ...] = ()
    note: str = _NOTE


def read_edits(run: Path) -> Edits:
    """Edits that a run exported; none for a run of anything else.

    Raises:
        ValueError: a file is damaged.
        OSError: a file cannot be read.
    """
    restored = read_restoration_records(run)[:_MOST]
    if restored:
        return _restorations(run, restored)
    photographs = read_photograph_records(run)[:_MOST]
    if photographs:
        return _photographs(run, photographs)
    records = read_edit_records(run)[:_MOST]
    captions = {Path(record.image).name: f"Source: {record.source}" for record in records}
    return Edits(_found(run, captions), rows=tuple(map(_row, records)))


def _found(run: Path, captions: dict[str, str]) -> tuple[tuple[str, Media], ...]:
    """Caption and content of each file of media/ that is there."""
    found = [(caption, read_media(run / "media" / name)) for name, caption in captions.items()]
    return tuple((caption, media) for caption, media in found if media is not None and media.data is not None)


def _restorations(run: Path, records: Sequence[RestorationRecord]) -> Edits:
    captions = {"degraded.png": f"Data: {records[0].operator}, noise {records[0].noise:g}", "source.png": "Truth"}
    captions |= {Path(record.difference).name: "Difference, grey is none" for record in records[:3]}
    rows = [
        (
            record.prompt,
            f"{record.residual:.4f}",
            f"{record.residual / record.noise:.2f}" if record.noise > 0 else "no noise",
            *(_number(value, form) for value, form in ((record.psnr, ".2f"), (record.psnr_before, ".2f"))),
            _number(record.ssim, ".3f"),
        )
        for record in records
    ]
    return Edits(_found(run, captions), _RESTORATION_HEADS, tuple(rows), _RESTORATION_NOTE)


def _photographs(run: Path, records: Sequence[PhotographRecord]) -> Edits:
    caption = "Photographs, renders from their cameras, and differences; azimuth and elevation above"
    rows = [
        (
            record.file,
            f"{round(record.azimuth, 1) + 0.0:g}",
            f"{round(record.elevation, 1) + 0.0:g}",
            f"{record.residual:.4f}",
            f"{record.residual / record.noise:.2f}",
            f"{record.psnr:.2f}",
            "yes" if record.held_out else "no",
        )
        for record in records
    ]
    return Edits(_found(run, {"photographs.png": caption}), _PHOTOGRAPH_HEADS, tuple(rows), _PHOTOGRAPH_NOTE)


def _row(record: EditRecord) -> tuple[str, ...]:
    shares = [_number(share, ".0%") for share in (record.target_share, record.source_share)]
    margins = [_number(margin, "+.4f") for margin in (record.margin, record.margin_before)]
    return (record.prompt, f"{record.distance:.4f}", *shares, *margins)


def _number(value: float | None, form: str) -> str:
    return "not computed" if value is None else format(value, form)
