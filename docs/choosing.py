"""Writes the tables and the figure of docs/choosing.md and docs/results.md from a run of `modeseek benchmark`.

modeseek benchmark --out runs/ring
python docs/choosing.py runs/ring
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from modeseek.experiments.known_density.measure import columns
from modeseek.experiments.known_density.plan import CONTESTS, Contest
from modeseek.io.atomic import write_atomic
from modeseek.reports.table import Row, Table

DOCS = Path(__file__).parent
RESULTS = DOCS / "results" / "ring.json"
PAGES = ("choosing.md", "results.md")
SHOWN: Mapping[Contest, Sequence[str]] = {
    "calls": ("nll", "nll_default", "distance", "found", "spread", "recall", "steps", "updates"),
    "steps": ("nll", "nll_default", "distance", "found", "spread", "calls", "updates"),
    "samples": ("law", "law_default", "nll", "found", "spread"),
    "edits": ("nll", "nll_default", "moved", "steps"),
}
FEW = ("msd", "sdi", "stein", "sds", "sds-annealed", "ism", "msd-product", "dsd", "fsd", "cfd", "vsd", "rsd", "nfsd",
       "sds-bridge", "csd", "ddim")  # fmt: skip
_WIDTH = 1400  # pixels of the figure


def markdown(results: Mapping[str, Any], contest: Contest, names: Sequence[str] = ()) -> str:
    """Table of a contest with the chosen settings, the best of each column in bold; all rows, or those named."""
    facts, keys = results["facts"], SHOWN[contest]
    known = {column.key: column for column in columns(contest)}
    references = {"ddim", "find-modes"}
    rows = facts["contests"][contest]
    table = Table(
        tuple(replace(known[key], heading=f"{known[key].heading}{known[key].arrow}") for key in keys),
        tuple(Row(name, own, name in references) for name, own in rows.items() if not names or name in names),
    )
    headings = " | ".join(column.heading for column in table.columns)
    lines = [f"| method | {headings} | chosen |", "|---|" + "---:|" * len(keys) + "---|"]
    for row in table.rows:
        cells = [table.text(row, column) for column in table.columns]
        bold = [
            f"**{text}**" if table.is_best(row, column) else text
            for text, column in zip(cells, table.columns, strict=True)
        ]
        title, chosen = facts["titles"][row.name], facts["titles"].get(f"{contest}/{row.name}", "")
        title = f"*{title}*" if row.reference else title
        lines.append(f"| {title} | {' | '.join(bold)} | {chosen.partition(': ')[2]} |")
    return "\n".join(lines)


def with_tables(page: str, results: Mapping[str, Any]) -> str:
    """A page whose tables, each between two comments that name it, are those of the results."""
    for contest in CONTESTS:
        for name, names in ((contest, ()), (f"{contest}, some", FEW)):
            pattern = rf"(<!-- table: {name} -->\n).*?(<!-- end -->)"
            table = markdown(results, contest, names)
            page = re.sub(pattern, lambda found, table=table: f"{found[1]}{table}\n{found[2]}", page, flags=re.DOTALL)
    return page


def main(folder: Path) -> None:
    """Copies results and figure of a run into the docs, and writes the tables of the pages."""
    from PIL import Image

    results = json.loads((folder / "exports" / "results.json").read_text(encoding="utf-8"))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    image = Image.open(folder / "media" / "panels-calls.png").convert("RGB")
    image = image.resize((_WIDTH, round(image.height * _WIDTH / image.width)), Image.Resampling.LANCZOS)
    png = BytesIO()
    image.quantize(192).save(png, "PNG", optimize=True)
    write_atomic(DOCS / "ring.png", png.getvalue())
    for name in PAGES:
        path = DOCS / name
        write_atomic(path, with_tables(path.read_text(encoding="utf-8"), results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
