"""Image of a page of the docs from runs of the gallery: what docs/edit_pictures.py and its like share."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gallery_runs import GalleryRun

if TYPE_CHECKING:
    from modeseek.reports.contact_sheet import ContactSheet

GALLERY = Path("runs") / "gallery"


def make_picture(page: str, runs: Sequence[GalleryRun], draw: Callable[[Path], ContactSheet]) -> None:
    """Makes the runs in runs/gallery, then docs/PAGE.webp; an error is one line, with exit code 1.

    Args:
        page: name of the page; `python docs/PAGE_pictures.py` is the command.
        runs: runs; a finished one is not made again, an interrupted one is resumed.
        draw: function from the folder of the runs to the sheet.
    """
    from gallery import make_runs, webp
    from PIL import Image

    out = Path(__file__).parent / f"{page}.webp"
    try:
        make_runs(GALLERY, runs)
        out.write_bytes(webp(Image.open(io.BytesIO(draw(GALLERY).png())).convert("RGB")))
    except (OSError, ValueError) as error:
        sys.exit(f"{page}_pictures: {' '.join(str(error).split())}")
    print(f"Written: docs/{page}.webp")
