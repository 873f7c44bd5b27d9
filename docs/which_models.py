"""Generator of `which_models.md` from the tables of the tests: `python docs/which_models.py` writes the page.

Every row of the page is a case of a test: `tests/which_models/` holds both.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from which_models.row import Section

DOCS = Path(__file__).parent
INTRODUCTION = """# Which models work

Text-to-image pipelines of diffusers: folders written by `save_pretrained`, single-file checkpoints whose
configurations are available, repositories of the hub, and LoRA weights for them. The configuration of a folder is
applied, or rejected with one line that names the file or the field: nothing is guessed. `modeseek doctor --prior`
makes the same checks before a run. This configuration is part of a run: a run whose prior has changed is not
resumed, and the message has the old and the new value of the field.

Every row below is a case of a test that runs it on a small model of that family with random weights; `python
docs/which_models.py` generates the page from these tables. Distilled models of few steps (Turbo, Lightning, Hyper-SD)
are ordinary folders to diffusers and to modeseek: they do not record that their predictions are not posterior means.
"""


def render() -> str:
    """The page as Markdown."""
    sys.path.insert(0, str(DOCS.parent / "tests"))
    from which_models import SECTIONS

    return "\n".join([INTRODUCTION, *(_section(section) for section in SECTIONS)])


def _section(section: Section) -> str:
    from which_models.families import NAMES

    works = [(row.what, NAMES[row.base], row.note) for row in section.rows if not row.line]
    refused = [
        (row.what, NAMES[row.base], f"`... {row.line.strip()} ...`" + (f" {row.note}" if row.note else ""))
        for row in section.rows
        if row.line
    ]
    parts = [f"## {section.title}", section.introduction]
    parts += [_table(("What", "Tested on", "How it is loaded"), works)] if works else []
    parts += (
        [f"**Rejected**, with this message:\n\n{_table(('What', 'Tested on', 'Message'), refused)}"] if refused else []
    )
    return "\n\n".join([*parts, f"Test: `{section.test}`.\n"])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    (DOCS / "which_models.md").write_text(render(), encoding="utf-8")
    print(DOCS / "which_models.md")
