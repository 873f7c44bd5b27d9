"""BibTeX bibliography of the methods and tools that a run uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Source:
    """Bibliographic record of a paper or book.

    Attributes:
        key: BibTeX key.
        authors: author names in BibTeX form, "Last, First" each; a last "others" stands for those left out.
        title: title of the work.
        year: year of the first version.
        venue: journal, conference or arXiv number.
        url: URL of the abstract; empty if there is none.
    """

    key: str
    authors: tuple[str, ...]
    title: str
    year: int
    venue: str
    url: str = ""

    @property
    def bibtex(self) -> str:
        """BibTeX entry."""
        link = f",\n  url = {{{self.url}}}" if self.url else ""
        return (
            f"@misc{{{self.key},\n  author = {{{' and '.join(self.authors)}}},\n  title = {{{self.title}}},\n"
            f"  year = {{{self.year}}},\n  howpublished = {{{self.venue}}}{link}\n}}"
        )

    @property
    def formatted(self) -> str:
        """Plain-text reference: first authors, title, venue and year."""
        names = [name.split(",")[0] for name in self.authors]
        short = len(names) <= 2 and names[-1] != "others"
        authors = " and ".join(names) if short else f"{names[0]} et al."
        return f"{authors}: {self.title}. {self.venue}, {self.year}"


@cache
def read_sources() -> dict[str, Source]:
    """Returns every source of `references.bib`, by BibTeX key."""
    from pybtex.database import parse_string

    library = parse_string(files("modeseek.citations").joinpath("references.bib").read_text("utf-8"), "bibtex")
    return {
        key: Source(
            key,
            tuple(map(str, entry.persons["author"])),
            entry.fields["title"],
            int(entry.fields["year"]),
            entry.fields["howpublished"],
            entry.fields.get("url", ""),
        )
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
