"""Image of docs/edit.md and README.md: `python docs/edit_pictures.py` makes the edits, then docs/edit.webp.

The runs lie in runs/gallery; a finished one is not made again, an interrupted one is resumed. Their sources are in
docs/edit: renders of scenes, and samples of the prior emoji.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gallery_runs import GalleryRun
from pictures import make_picture

if TYPE_CHECKING:
    from modeseek.reports.contact_sheet import ContactSheet

COLUMNS, SIDE = 6, 160


def edit_run(name: str, source: str, prompts: tuple[str, ...], prior: str = "scenes") -> GalleryRun:
    """Run that edits docs/edit/NAME.png."""
    chosen = () if prior == "scenes" else ("--prior", prior)
    return GalleryRun(f"edit-{name}", ("edit", f"docs/edit/{name}.png", *prompts, "--source", source, *chosen))


EDITS = (
    edit_run("face", "a grinning face", ("a sad face", "a crying face"), "emoji"),
    edit_run("apple", "a red apple", ("a green apple", "a lemon"), "emoji"),
    edit_run("cone", "a red cone on a blue cube", ("a green cone on a blue cube", "a red sphere on a blue cube")),
    edit_run("mug", "a purple mug", ("an orange mug", "a red mug")),
    edit_run("robot", "a green robot head", ("a red robot head", "a yellow robot head")),
    edit_run("house", "a blue house", ("a yellow house", "a red house")),
)


def draw(folder: Path) -> ContactSheet:
    """Returns each source beside its edits, two runs in a row.

    Raises:
        ValueError: a run is not finished.
        OSError: a file cannot be read.
    """
    from modeseek.io.images import decode_image
    from modeseek.reports.contact_sheet import ContactSheet, Tile
    from modeseek.rundir.edit_records import read_edit_records
    from modeseek.runs.image_files import image_names

    tiles: list[Tile] = []
    for run in EDITS:
        path, records = folder / run.name, read_edit_records(folder / run.name)
        if not records:
            raise ValueError(f"{path} must be a finished edit, got none; try python docs/edit_pictures.py")
        files = [(path / records[0].image, f"source: {records[0].source}")]
        names = image_names([record.prompt for record in records], 0)
        files += [(path / "exports" / f"{name}.png", r.prompt) for name, r in zip(names, records, strict=True)]
        tiles += [Tile(decode_image(file.read_bytes(), file), caption=caption) for file, caption in files]
    return ContactSheet.grid(tiles, COLUMNS, side=SIDE, font=14)


def main() -> None:
    """Makes the runs and the image."""
    make_picture("edit", EDITS, draw)


if __name__ == "__main__":
    main()
