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
_FUNCTION_WORDS = frozenset("a an the and or of with in to is are at by for from its s".split())  # never the subject
_LISTED = 12  # words in a message


@dataclass(frozen=True)
class Vocabulary:
    """Words of the captions that a prior was trained on, in lower case; any other word is noise to it.

    Attributes:
        words: words, without function words ("a", "of", "and").
        title: name of the prior, for messages.
    """

    words: frozenset[str]
    title: str = "pipeline"

    def unknown(self, text: str) -> tuple[str, ...]:
        """Returns the words of a text that it does not hold, each once, in order; numbers and "of" do not count."""
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
    """Returns the words of a text in lower case, each once, in order, without function words and numbers."""
    return [word for word in dict.fromkeys(_WORD.findall(text.lower())) if word not in _FUNCTION_WORDS]


def read_vocabulary(folder: Path, title: str = "") -> Vocabulary | None:
    """Returns the vocabulary of a pipeline folder; None if it has no `words.txt`.

    Args:
        folder: folder of the pipeline.
        title: name of the prior, for messages; default the name of the folder.

    Raises:
        ValueError: it is not UTF-8 text.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        words = path.read_text(encoding="utf-8").lower().split()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8 text, one word a line; correct or remove it") from error
    return Vocabulary(frozenset(words), title or folder.name)
