"""`modeseek cite`: BibTeX entries of methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from modeseek.citations.bibtex import bibtex, read_sources
from modeseek.config.lookup import look_up
from modeseek.methods import METHODS


@dataclass(frozen=True)
class CiteCommand:
    """Print BibTeX entries of the papers of methods.

    Examples:
      modeseek cite msd vsd > methods.bib
    """

    methods: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="METHOD [METHOD ...]")]]
    """Method names listed by `modeseek methods`, or keys of other sources: ddim, guidance, kid, ..."""

    def run(self, argv: Sequence[str]) -> None:
        """Prints each entry once."""
        if not self.methods:
            raise ValueError("cite needs at least one method, got none; try modeseek cite msd")
        keys = {key: (key,) for key in read_sources()} | {name: cls.references for name, cls in METHODS.items()}
        print(bibtex(key for name in self.methods for key in look_up("method", name.lower(), keys)), end="")
