"""Image of docs/exports.md: `python docs/exports.py IMAGE_RUN SHAPE_RUN` writes docs/exports.png from two run folders.

Upper row: the first image as it was optimised, a detail, and the coordinate network rendered at 512 pixels.
Lower row: the mesh of the shape at two resolutions, and a still of the shape.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

SIDE, GAP = 384, 12  # pixels
ELEVATION = 20.0  # degrees


def write(image_run: Path, shape_run: Path, out: Path) -> None:
    """Writes the image.

    Raises:
        ValueError: a run is not of its kind, or unfinished.
        OSError: a file cannot be read.
    """
    from PIL import Image, ImageDraw, ImageFont

    from modeseek.rundir.run_dir import Run

    tiles = {**image_tiles(Run.load(image_run)), **shape_tiles(Run.load(shape_run))}
    columns, line = 3, 34
    width, height = columns * (SIDE + GAP) + GAP, 2 * (SIDE + GAP + line) + GAP
    sheet = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for k, (caption, tile) in enumerate(tiles.items()):
        x, y = GAP + k % columns * (SIDE + GAP), GAP + k // columns * (SIDE + GAP + line)
        sheet.paste(tile.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS), (x, y))
        pen.text((x, y + SIDE + 6), caption, fill=(27, 31, 36), font=font)
    sheet.save(out, optimize=True)


def image_tiles(run: Any) -> dict[str, Any]:
    """Native pixels, the same rendered at 512, and the middle of the latter at full size."""
    from PIL import Image

    from modeseek.runs.export_run import export_images

    with tempfile.TemporaryDirectory() as scratch:
        small, large = (
            Image.open(export_images(run, Path(scratch) / f"{size}.png", size, "cpu")[0]).copy() for size in (None, 512)
        )
    pixels = small.resize((6 * small.width, 6 * small.height), Image.Resampling.NEAREST)
    wide = small.width // 4
    detail = small.crop((wide, wide, 3 * wide, 3 * wide)).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    return {"the optimised pixels": pixels, "a detail of them": detail, "export --size 512": large}


def shape_tiles(run: Any) -> dict[str, Any]:
    """Meshes at two resolutions, and a frame of the film."""
    from PIL import Image

    from modeseek.generators.mesh.render import render_still
    from modeseek.runs.render_run import RenderSettings, render_run
    from modeseek.runs.trained import load_trained

    shape = load_trained(run, "cpu").shape
    if shape is None:
        raise ValueError(f"the second run must be of a 3D shape, got {run.path}")
    tiles = {}
    with tempfile.TemporaryDirectory() as scratch:
        for resolution in (32, 192):
            path = Path(scratch) / f"{resolution}.png"
            path.write_bytes(render_still(shape.extract_mesh(resolution)[0], SIDE))
            tiles[f"export --resolution {resolution}"] = Image.open(path).copy()
        path = Path(scratch) / "front.png"
        render_run(run, path, RenderSettings("front", 512, elevation=ELEVATION), "cpu")
        tiles["render --camera front"] = Image.open(path).copy()
    return tiles


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("image_run", type=Path, metavar="IMAGE_RUN", help="run folder of modeseek image")
    parser.add_argument("shape_run", type=Path, metavar="SHAPE_RUN", help="run folder of modeseek shape")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "exports.png", metavar="FILE")
    args = parser.parse_args()
    try:
        write(args.image_run, args.shape_run, args.out)
    except (OSError, ValueError) as error:
        print(f"exports: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    print(f"Written: {args.out}")


if __name__ == "__main__":
    main()
