"""BibTeX bibliography of the methods and tools that a run uses."""

from __future__ import annotations

from collections.abc import Iterable

from modeseek.citations.general_papers import GENERAL_PAPERS, Source
from modeseek.citations.method_papers import METHOD_PAPERS

SOURCES: dict[str, Source] = {source.key: source for source in (*METHOD_PAPERS, *GENERAL_PAPERS)}


def find_sources(keys: Iterable[str]) -> list[Source]:
    """Returns the sources of BibTeX keys, each once, in order of first mention.

    Raises:
        KeyError: an unknown key.
    """
    return [SOURCES[key] for key in dict.fromkeys(keys)]


def bibtex(keys: Iterable[str]) -> str:
    """Returns the text of a BibTeX file with the entries of these keys."""
    return "\n\n".join(source.bibtex for source in find_sources(keys)) + "\n"
