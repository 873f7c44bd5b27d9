"""Image of docs/edit.md and README.md: `python docs/edit_pictures.py` makes the edits, then docs/edit.webp.

The runs lie in runs/gallery; a finished one is not made again, an interrupted one is resumed. Their sources are in
docs/edit: renders of scenes, and samples of the prior emoji.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gallery_runs import GalleryRun

DOCS = Path(__file__).parent
COLUMNS, SIDE, QUALITY = 6, 160, 88


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


def write(folder: Path, out: Path) -> None:
    """Writes each source beside its edits, two runs in a row.

    Raises:
        ValueError: a run is not finished.
        OSError: a file cannot be read or written.
    """
    import io

    from PIL import Image

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
    png = ContactSheet.grid(tiles, COLUMNS, side=SIDE, font=14).png()
    Image.open(io.BytesIO(png)).convert("RGB").save(out, "WEBP", quality=QUALITY, method=6)


def main() -> None:
    """Makes the runs and the image."""
    from gallery import make_runs

    folder = Path("runs") / "gallery"
    try:
        make_runs(folder, EDITS)
        write(folder, DOCS / "edit.webp")
    except (OSError, ValueError) as error:
        sys.exit(f"edit_pictures: {' '.join(str(error).split())}")
    print("Written: docs/edit.webp")


if __name__ == "__main__":
    main()
