"""Encoder of prompts: cached conditions, remarks on what text encoders do not read, and one length for all chunks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modeseek.priors.base import Conditions
from modeseek.priors.pipeline.chunked_encoding import pad_chunks
from modeseek.priors.pipeline.text_cache import TextCache
from modeseek.priors.pipeline.text_encoding import TextEncoding
from modeseek.priors.pipeline.textual_inversion import read_tokens, remark_unused_tokens
from modeseek.priors.pipeline.vocabulary import Vocabulary
from modeseek.pytree import Cond, concatenate


class PromptEncoder:
    """Encoder of the prompts of a pipeline; conditions are on the CPU, in the dtype of the text encoders.

    Args:
        encoding: encoding by the text encoders, called for texts that are not cached.
        pipe: pipeline with its tokenizers, which get the tokens of the embeddings.
        folder: folder of cached conditions; None keeps them in memory only.
        vocabulary: words that the pipeline was trained on; None if they are unknown.

    Raises:
        ValueError: textual inversions that cannot be read.
    """

    def __init__(
        self, encoding: TextEncoding, pipe: Any, folder: Path | None, vocabulary: Vocabulary | None = None
    ) -> None:
        self._encoding, self._tokens = encoding, read_tokens(encoding.embeddings)
        self.cache = TextCache(encoding, encoding.identity, folder)
        self.readers = encoding.readers(pipe)
        self._vocabulary = vocabulary

    def encode(self, texts: Sequence[str]) -> Cond:
        """Returns the conditions of texts, (len(texts), ...); remarks say what the text encoders do not read."""
        return self._batches(texts)[0]

    def conditions(self, texts: Sequence[str], negative: Sequence[str] | None = None) -> Conditions:
        """Returns the conditions of texts, of the empty text and of negative prompts, all of one length.

        Remarks say what the text encoders do not read, and which embeddings no text uses.
        """
        positive, null, opposed = self._batches(texts, () if negative is None else negative)
        remark_unused_tokens(self._encoding.embeddings, self._tokens, {*texts, *(negative or ())})
        return Conditions(positive, null=null, negative=None if negative is None else opposed)

    def unknown_words(self, texts: Sequence[str]) -> tuple[str, ...] | None:
        """Returns the words of texts that the pipeline was not trained on, each once; None if they are unknown."""
        if self._vocabulary is None:
            return None
        return tuple(dict.fromkeys(word for text in texts for word in self._vocabulary.unknown(self._plain(text))))

    def null(self) -> Cond:
        """Returns the condition of the empty text, (1, ...), as the authors of the pipeline define it."""
        return self.cache.null()

    def _batches(self, texts: Sequence[str], negative: Sequence[str] = ()) -> tuple[Cond, Cond, Cond]:
        """Returns the conditions of texts, of the empty text and of the negative texts; the last is None for none."""
        every = [*texts, *negative]
        self.readers.remark_cuts(every)
        self._remark_unknown(texts)
        rows, null = self.cache(every), self.cache.null()
        if self._encoding.long_prompts == "chunk":
            filler = self.cache([""])[0]
            longest = max(rows, key=lambda row: row["text"].shape[1], default=filler)
            rows = pad_chunks([*rows, longest], filler["text"])[:-1]
            null = pad_chunks([null, longest])[0]
        n = len(texts)
        return concatenate(rows[:n]), null, concatenate(rows[n:]) if negative else None

    def _remark_unknown(self, texts: Sequence[str]) -> None:
        """Adds a remark on the words that the pipeline does not know; a run keeps equal ones once."""
        unknown = self.unknown_words(texts)
        if unknown and self._vocabulary is not None:
            self._vocabulary.remark(unknown)

    def _plain(self, text: str) -> str:
        """A text without the tokens of embeddings, which are learned words."""
        for token in self._tokens:
            text = text.replace(token, " ")
        return text
