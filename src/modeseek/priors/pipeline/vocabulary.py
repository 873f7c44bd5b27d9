"""Vocabulary of a text-to-image prior that was trained on few words: which words of a prompt it does not know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeseek.io.remarks import add_remark
from modeseek.priors.pipeline.bundled_table import bundled_prior

FILE = "words.txt"  # of a pipeline folder, one word a line
_WORD = re.compile(r"[^\W\d_]+")  # digits are spelled, so every number is known
_ARTICLES = frozenset(("a", "an", "the"))
_LISTED = 12  # words in a message


@dataclass(frozen=True)
class Vocabulary:
    """Words of the captions that a prior was trained on, in lower case; any other word is noise to it.

    Attributes:
        words: words, without articles.
        title: name of the prior, for messages.
    """

    words: frozenset[str]
    title: str = "pipeline"

    def unknown(self, text: str) -> tuple[str, ...]:
        """Returns the words of a text that it does not hold, each once, in order; articles and numbers are known."""
        return tuple(word for word in split_words(text) if word not in self.words)

    def remark(self, unknown: Sequence[str]) -> None:
        """Adds a remark on words that it does not hold: what the prior knows instead, and how to take another."""
        listed = ", ".join(unknown[:_LISTED]) + f" and {len(unknown) - _LISTED} more" * (len(unknown) > _LISTED)
        named = bundled_prior(self.title)
        known = f"{len(self.words):,} words" if named is None else f"{named.knows} (modeseek list words {named.name})"
        add_remark(
            f"the {self.title} prior does not know: {listed}; they will not be in the result. It knows {known}. "
            "For anything else: --prior FOLDER_OR_HUB_ID"
        )


def split_words(text: str) -> list[str]:
    """Returns the words of a text in lower case, each once, in order, without articles, numbers and punctuation."""
    return [word for word in dict.fromkeys(_WORD.findall(text.lower())) if word not in _ARTICLES]


def read_vocabulary(folder: Path, title: str = "") -> Vocabulary | None:
    """Returns the vocabulary of a pipeline folder; None if it has no `words.txt`.

    Args:
        folder: folder of the pipeline.
        title: name of the prior, for messages; default the name of the folder.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    return Vocabulary(frozenset(path.read_text(encoding="utf-8").split()), title or folder.name)
