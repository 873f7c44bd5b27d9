"""Table and contact sheet of an experiment in a page of the docs: `python docs/experiment.py RUN PAGE [--name NAME]`.

RUN is a finished folder of `modeseek paper ...`, PAGE a file of docs/ with the lines `<!-- experiment -->` and
`<!-- end of experiment -->`; further experiments of a page have a name: `<!-- experiment NAME -->`. The text between
them is replaced by the command as typed, the table with intervals and findings (exports/table.md), missing results and
the machine; the curves of the run, if it has any, and the contact sheet become images named after the page.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gallery import shrink, typed_command

MOST_COLUMNS = 10  # of a table; a wider one has a row per column
_INTERVAL = re.compile(r" (\[-?[\d.e+-]+, -?[\d.e+-]+\])(\**)$")
BEGIN, END = "<!-- experiment -->", "<!-- end of experiment -->"


def section(run: Path, images: Mapping[str, str]) -> str:
    """Markdown section about an experiment.

    Args:
        run: folder of the experiment.
        images: names of the images beside the page, by file of the run's media/.

    Raises:
        ValueError: the experiment is not finished, or its command contains a path of this machine.
        OSError: the folder is not an experiment.
    """
    from modeseek.rundir.status import read_status

    if (state := read_status(run).state) != "finished":
        raise ValueError(f"{run.name} is {state}: experiments on a page must be finished; resume it first")
    results = json.loads((run / "exports" / "results.json").read_text(encoding="utf-8"))
    parts = [
        f"```sh\n{typed_command(run)}\n```",
        *(f"![{results['title']}: {Path(file).stem.replace('-', ', ')}]({image})" for file, image in images.items()),
        fit_tables((run / "exports" / "table.md").read_text(encoding="utf-8").strip()),
        "\n".join(f"- {line}" for line in results["facts"]["lacking"]),
        f"Made on {results['date'][:10]} on {results['machine']['cores']} cores ({results['machine']['architecture']}) "
        "of a shared machine: seconds are approximate. Intervals are 95 % bootstrap intervals.",
    ]
    return "\n\n".join(part for part in parts if part)


def fit_tables(text: str) -> str:
    """Markdown whose tables fit a page: intervals below their numbers, and rows for columns where they are many."""
    parts = re.split(r"((?:^\|.*\n?)+)", text, flags=re.MULTILINE)
    return "".join(_fit(part) if part.startswith("|") else part for part in parts)


def _fit(table: str) -> str:
    first, rule, *others = table.strip().splitlines()
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in (first, *others)]
    rows = [[_INTERVAL.sub(r"\2<br><small>\1</small>", cell) for cell in row] for row in rows]
    if len(rows[0]) > MOST_COLUMNS > len(rows) - 1:
        rows = [list(row) for row in zip(*rows, strict=True)]
        rule = f"|---|{'---:|' * (len(rows[0]) - 1)}"
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n" * table.endswith("\n")


def write(run: Path, page: Path, name: str = "") -> None:
    """Writes the section into the page, and the images beside it.

    Args:
        run: folder of the experiment.
        page: page to update.
        name: name of the section; empty for the first one.

    Raises:
        ValueError: the page has no lines that mark the section.
    """
    from modeseek.io.atomic import write_atomic

    marker = f"<!-- experiment {name} -->" if name else BEGIN
    before, begin, rest = page.read_text(encoding="utf-8").partition(marker)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page.name} has no place for an experiment: put the lines {marker} and {END} there")
    files = [*sorted((run / "media").glob("curves-*.png")), run / "media" / "sheet.png"]
    images = {file.name: f"{page.stem}_{file.stem.replace('sheet', name or 'experiment')}.png" for file in files}
    text = section(run, images)
    for file in files:
        write_atomic(page.with_name(images[file.name]), shrink(file))
    write_atomic(page, f"{before}{marker}\n\n{text}\n\n{END}{after}")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: reads the folder and writes the page; an error is one line and exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of modeseek paper")
    parser.add_argument("page", type=Path, metavar="PAGE", help="page to update")
    parser.add_argument("--name", default="", help="name of the section, if the page has several")
    args = parser.parse_args(argv)
    try:
        write(args.run, args.page, args.name)
    except (OSError, ValueError, KeyError) as error:
        print(f"experiment: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    print(f"Written: {args.page}")


if __name__ == "__main__":
    main()
