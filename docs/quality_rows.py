"""Images of `modeseek paper quality` by prior calls: `python docs/quality_rows.py RUN CELL ... --out docs/NAME.webp`.

RUN is a folder of the experiment, finished or not, CELL a method at a budget: sds@800. Each cell is a row that shows
its first images, with the same prompts and seeds in every row.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bundled_priors import image_files, paste_rows


def write(run: Path, cells: Sequence[str], columns: int, out: Path) -> None:
    """Writes the image.

    Raises:
        OSError: the run has no images of a cell.
        ValueError: a cell has fewer images than there are columns.
    """
    rows = [image_files(run / "jobs" / f"{cell}-000") for cell in cells]
    fewest = min(map(len, rows))
    if fewest < columns:
        raise ValueError(f"every cell must have {columns} images, got {fewest} in one; try --columns {fewest}")
    paste_rows(rows, columns, out)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: writes the image; an error is one line and exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of modeseek paper quality")
    parser.add_argument("cells", nargs="+", metavar="CELL", help="methods at budgets, a row each: msd-inner@50 sds@800")
    parser.add_argument("--columns", type=int, default=10, help="number of images of each cell; default 10")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="image to write, a PNG or WebP file")
    args = parser.parse_args(argv)
    try:
        write(args.run, args.cells, args.columns, args.out)
    except (OSError, ValueError) as error:
        print(f"quality_rows: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    print(f"Written: {args.out}: {', '.join(args.cells)}")


if __name__ == "__main__":
    main()
