"""The table and contact sheet of an experiment on a page: `python docs/experiment.py RUN PAGE`.

RUN is a finished folder of `modeseek paper ...`, PAGE a file of docs/ with the lines `<!-- experiment -->` and
`<!-- end of experiment -->`. What stands between them is replaced by the command as typed, the table with its intervals
and findings (exports/table.md), what is lacking, and the machine; the contact sheet becomes a picture named after the
page.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from gallery import small, typed

BEGIN, END = "<!-- experiment -->", "<!-- end of experiment -->"


def section(run: Path, picture: str) -> str:
    """What a page says of an experiment.

    Raises:
        ValueError: it is not finished, or its command holds a path of this machine.
        OSError: it is no folder of an experiment.
    """
    from modeseek.rundir.status import read_status

    if (state := read_status(run).state) != "finished":
        raise ValueError(f"{run.name} is {state}: pages show finished experiments; go on with it first")
    told = json.loads((run / "exports" / "results.json").read_text(encoding="utf-8"))
    parts = [
        f"```sh\n{typed(run)}\n```",
        f"![{told['title']}: all pictures]({picture})",
        (run / "exports" / "table.md").read_text(encoding="utf-8").strip(),
        "\n".join(f"- {line}" for line in told["facts"]["lacking"]),
        f"Made on {told['date'][:10]} on {told['machine']['cores']} cores ({told['machine']['architecture']}) that "
        "others use too: seconds are rough. Intervals are 95 % bootstrap intervals.",
    ]
    return "\n\n".join(part for part in parts if part)


def write(run: Path, page: Path) -> None:
    """Puts the section and its picture where they belong.

    Raises:
        ValueError: the page has no place for it.
    """
    from modeseek.io.atomic import write_atomic

    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page.name} has no place for an experiment: put the lines {BEGIN} and {END} there")
    picture = page.with_name(f"{page.stem}_experiment.png")
    told = section(run, picture.name)
    write_atomic(picture, small(run / "media" / "sheet.png"))
    write_atomic(page, f"{before}{BEGIN}\n\n{told}\n\n{END}{after}")


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the folder, then writes the page; a mistake is one line and exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, metavar="RUN", help="a folder of modeseek paper")
    parser.add_argument("page", type=Path, metavar="PAGE", help="the page that shows it")
    asked = parser.parse_args(argv)
    try:
        write(asked.run, asked.page)
    except (OSError, ValueError, KeyError) as error:
        print(f"experiment: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    print(f"Written: {asked.page}")


if __name__ == "__main__":
    main()
