"""Words of the training captions, as `words.txt` of a pipeline folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from modeseek.priors.pipeline.vocabulary import FILE, split_words


def write_vocabulary(folder: Path, captions: Iterable[str]) -> Path:
    """Writes the words of training captions as `words.txt` of a pipeline folder and returns its path."""
    words = sorted({word for caption in captions for word in split_words(caption)})
    path = folder / FILE
    path.write_text("\n".join(words) + "\n", encoding="utf-8")
    return path
