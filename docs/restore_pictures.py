"""Image of docs/restore.md: `python docs/restore_pictures.py` makes six restorations, then docs/restore.webp.

The runs lie in runs/gallery; a finished one is not made again, an interrupted one is resumed. The images are those of
docs/edit, degraded first: three tiles of each are the data, the restored image and the truth.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gallery_runs import GalleryRun
from pictures import make_picture

if TYPE_CHECKING:
    from modeseek.reports.contact_sheet import ContactSheet

COLUMNS, SIDE = 6, 160
WORDS = {"cone": "a red cone on a blue cube", "face": "a grinning face"}


def restore_run(image: str, operator: str, steps: int, *more: str) -> GalleryRun:
    """Run that degrades and restores docs/edit/IMAGE.png."""
    chosen = ("--prior", "emoji") if image == "face" else ()
    words = ("restore", f"docs/edit/{image}.png", WORDS[image], "--operator", operator, *more)
    arguments = (*words, "--degrade", "--steps", str(steps), "--film", "none", *chosen)
    return GalleryRun(f"restore-{image}-{operator}", arguments)


RESTORATIONS = (
    restore_run("cone", "inpaint", 30, "--mask", "docs/edit/mask.png"),
    restore_run("face", "inpaint", 12, "--mask", "docs/edit/mask.png"),
    restore_run("cone", "downsample", 16),
    restore_run("face", "downsample", 12),
    restore_run("cone", "blur", 12, "--sigma", "2", "--noise", "0.02"),
    restore_run("face", "blur", 12, "--sigma", "2", "--noise", "0.02"),
)


def draw(folder: Path) -> ContactSheet:
    """Returns the data, the restored image and the truth of each run, two runs in a row.

    Raises:
        ValueError: a run is not finished.
        OSError: a file cannot be read.
    """
    from modeseek.io.images import decode_image
    from modeseek.reports.contact_sheet import ContactSheet, Tile
    from modeseek.rundir.restoration_records import read_restoration_records
    from modeseek.runs.image_files import image_names

    tiles: list[Tile] = []
    for run in RESTORATIONS:
        path = folder / run.name
        records = read_restoration_records(path)
        if not records:
            raise ValueError(f"{path} must be a finished restoration, got none; try python docs/restore_pictures.py")
        record = records[0]
        restored = path / "exports" / f"{image_names([record.prompt], 0)[0]}.png"
        files = {
            path / record.degraded: f"{record.operator}, noise {record.noise:g}: {record.psnr_before:.1f} dB",
            restored: f"restored: {record.psnr:.1f} dB",
            path / "media" / "source.png": "the truth",
        }
        tiles += [Tile(decode_image(file.read_bytes(), file), caption=caption) for file, caption in files.items()]
    return ContactSheet.grid(tiles, COLUMNS, side=SIDE, font=14)


def main() -> None:
    """Makes the runs and the image."""
    make_picture("restore", RESTORATIONS, draw)


if __name__ == "__main__":
    main()
