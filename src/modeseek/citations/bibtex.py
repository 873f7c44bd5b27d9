"""BibTeX bibliography of the methods and tools that a run uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_VENUES = ("booktitle", "journal", "howpublished")  # fields that name a venue


@dataclass(frozen=True)
class Source:
    """Bibliographic record of a paper or book.

    Attributes:
        key: BibTeX key.
        kind: BibTeX type of the entry: inproceedings, article or misc.
        authors: author names in BibTeX form, "Last, First" each; a last "others" stands for those left out.
        fields: other BibTeX fields, in order: title, venue, year, arXiv number and URL, as far as there are.
    """

    key: str
    kind: str
    authors: tuple[str, ...]
    fields: Mapping[str, str]

    @property
    def title(self) -> str:
        """Title of the work."""
        return self.fields["title"]

    @property
    def year(self) -> int:
        """Year of the publication; of the first version where there is an arXiv number only."""
        return int(self.fields["year"])

    @property
    def arxiv(self) -> str:
        """ArXiv number; empty if there is none."""
        return self.fields.get("eprint", "")

    @property
    def url(self) -> str:
        """URL of the abstract; empty if there is none."""
        return self.fields.get("url", "")

    @property
    def venue(self) -> str:
        """Conference, journal or publisher; the arXiv number where the work has none."""
        named = [self.fields[name] for name in _VENUES if name in self.fields]
        return named[0] if named else f"arXiv {self.arxiv}"

    @property
    def bibtex(self) -> str:
        """BibTeX entry."""
        fields = {"author": " and ".join(self.authors)} | dict(self.fields)
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        return f"@{self.kind}{{{self.key},\n{lines}\n}}"

    @property
    def formatted(self) -> str:
        """Plain-text reference: first authors, title, venue, year and arXiv number."""
        names = [name.split(",")[0] for name in self.authors]
        short = len(names) <= 2 and names[-1] != "others"
        authors = " and ".join(names) if short else f"{names[0]} et al."
        preprint = f". arXiv {self.arxiv}" if self.arxiv and self.arxiv not in self.venue else ""
        return f"{authors}: {self.title}. {self.venue}, {self.year}{preprint}"


@cache
def read_sources() -> dict[str, Source]:
    """Returns every source of `references.bib`, by BibTeX key."""
    from pybtex.database import parse_string

    library = parse_string(files("modeseek.citations").joinpath("references.bib").read_text("utf-8"), "bibtex")
    return {
        key: Source(key, entry.type, tuple(map(str, entry.persons["author"])), dict(entry.fields))
        for key, entry in library.entries.items()
    }


def find_sources(keys: Iterable[str]) -> list[Source]:
    """Returns the sources of BibTeX keys, each once, in order of first mention.

    Raises:
        KeyError: an unknown key.
    """
    return [read_sources()[key] for key in dict.fromkeys(keys)]


def bibtex(keys: Iterable[str]) -> str:
    """Returns the text of a BibTeX file with the entries of these keys."""
    return "\n\n".join(source.bibtex for source in find_sources(keys)) + "\n"
