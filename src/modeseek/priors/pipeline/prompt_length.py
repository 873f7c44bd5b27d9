"""Prompts that are longer than the text encoders of a pipeline read: what is cut, and where a view phrase is not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

from modeseek.io.remarks import add_remark

_EDGES = " \t\n,;.:"  # characters between a prompt and a phrase
_QUOTED = 60  # characters of a prompt in a message
_LONGEST_CUT = 1000  # characters of the part cut, in a message
_LOGGED = ("The following part of your input was truncated", "Token indices sequence length is longer")
_KEPT = 4096  # texts whose numbers of tokens are kept, of each tokenizer
_UNBOUNDED = 10**6  # tokens: transformers' number for a tokenizer that has no limit is larger


def _unchanged(pipe: Any, tokenizer: Any, text: str) -> str:
    return text


def expand_embeddings(pipe: Any, tokenizer: Any, text: str) -> str:
    """Returns the text with one token for each vector of a textual inversion, as the pipeline tokenizes it."""
    return pipe.maybe_convert_prompt(text, tokenizer)


def clean_caption(pipe: Any, tokenizer: Any, text: str) -> str:
    """Returns the text in lower case without outer white space, as the pipeline tokenizes it."""
    return pipe._text_preprocessing(text)[0]


@dataclass(frozen=True)
class TokenLimits:
    """Numbers of tokens that the text encoders of a pipeline read.

    Attributes:
        limits: for tokenizer, tokenizer_2 ... in this order: the tokenizer's model_max_length ("tokenizer"), the
            default max_sequence_length of `encode_prompt` ("sequence"), or a number.
        prepare: function (pipeline, tokenizer, text) -> text as it is tokenized.
    """

    limits: tuple[Literal["tokenizer", "sequence"] | int, ...] = ("tokenizer",)
    prepare: Callable[[Any, Any, str], str] = _unchanged


@dataclass(frozen=True)
class TextReader:
    """Text encoder as a reader of prompts.

    Attributes:
        name: name of the component: text_encoder, text_encoder_2 ...
        limit: largest number of tokens that it reads, its own start and end included.
        count: function from a text to its number of tokens, start and end included.
    """

    name: str
    limit: int
    count: Callable[[str], int]

    def reads(self, text: str) -> bool:
        """Whether it reads the whole text."""
        return self.count(text) <= self.limit

    def unread(self, text: str) -> str:
        """Returns the end of the text that it does not read, from its first cut word on; empty if none."""
        return text[longest_part(text, self.reads) :].strip()


def open_readers(pipe: Any, limits: TokenLimits, encoders: Collection[str]) -> tuple[TextReader, ...]:
    """Returns the readers of a pipeline from its tokenizers.

    Args:
        pipe: pipeline with its tokenizers.
        limits: limits of its family.
        encoders: names of the text encoders that the pipeline has.

    Raises:
        ValueError: a tokenizer without the number of tokens that its encoder reads.
    """
    import inspect

    readers = []
    for index, limit in enumerate(limits.limits):
        suffix = f"_{index + 1}" if index else ""
        tokenizer = getattr(pipe, f"tokenizer{suffix}", None)
        if tokenizer is None or f"text_encoder{suffix}" not in encoders:
            continue
        if limit == "sequence":
            limit = int(inspect.signature(pipe.encode_prompt).parameters["max_sequence_length"].default)
        elif limit == "tokenizer":
            limit = int(tokenizer.model_max_length)
        if limit > _UNBOUNDED:
            raise ValueError(
                f"tokenizer{suffix} needs model_max_length, the number of tokens that text_encoder{suffix} reads, got "
                "none; add it to its tokenizer_config.json (77 for CLIP)"
            )
        readers.append(TextReader(f"text_encoder{suffix}", limit, _counter(pipe, tokenizer, limits)))
    return tuple(readers)


def _counter(pipe: Any, tokenizer: Any, limits: TokenLimits) -> Callable[[str], int]:
    @lru_cache(_KEPT)
    def count(text: str) -> int:
        with without_truncation_logs(pipe):
            return len(tokenizer(limits.prepare(pipe, tokenizer, text)).input_ids)

    return count


@contextmanager
def without_truncation_logs(pipe: Any) -> Generator[None]:
    """Context in which the libraries do not log that a prompt is too long, all else they do: a remark of ours says it.

    diffusers and transformers say it of prompts that are encoded, ours of those that are cached as well.
    """

    def keep(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(_LOGGED)

    names = (type(pipe).encode_prompt.__module__, "transformers.tokenization_utils_base")
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(keep)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(keep)


class PromptReaders:
    """Text encoders that read the prompts of a pipeline; their tokenizers are opened at the first prompt.

    Args:
        open: function that opens the tokenizers and returns the readers.
        advice: what to do about a long prompt, the end of a remark.
    """

    def __init__(self, open: Callable[[], Sequence[TextReader]], advice: str) -> None:
        self._open, self._advice = open, advice
        self._placed: set[str] = set()

    @cached_property
    def readers(self) -> tuple[TextReader, ...]:
        """Readers with a limit; none where every encoder reads texts of any length."""
        return tuple(self._open())

    def remark_cuts(self, texts: Sequence[str]) -> None:
        """Adds a remark for each text that is longer than an encoder reads, with the part that it does not read."""
        for text in dict.fromkeys(texts):
            if text not in self._placed:
                self._remark(text, [reader.unread(text) for reader in self.readers])

    def place(self, prompt: str, phrases: Sequence[str], before: bool = False) -> list[str]:
        """Returns `prompt, phrase` for each phrase, the phrase where every encoder reads it.

        A prompt that is too long is split, at the same word for all phrases: what the encoder that reads least reads
        beside a phrase, the phrase, and the rest as far as another encoder reads it. A remark says what is cut.

        Args:
            prompt: prompt without phrase.
            phrases: phrases, such as "front view".
            before: whether the phrase precedes the prompt, and so is never cut.

        Raises:
            ValueError: a phrase that is longer than any encoder reads.
        """
        bound = [reader for reader in self.readers if all(map(reader.reads, phrases))]
        if self.readers and not bound:
            reader = max(self.readers, key=lambda reader: reader.limit)
            longest = max(phrases, key=reader.count)
            raise ValueError(
                f"a view phrase must fit into a text encoder, got {longest!r}: {reader.count(longest)} tokens, "
                f"and {reader.name} reads {reader.limit}; try shorter phrases, or views.words none"
            )
        texts = [f"{phrase}, {prompt}" if before else f"{prompt}, {phrase}" for phrase in phrases]
        if all(reader.reads(text) for reader in self.readers for text in texts):
            return texts
        if before:
            self._placed.update(texts)
            longest = [max(texts, key=reader.count) for reader in self.readers]
            self._remark(prompt, [reader.unread(text) for reader, text in zip(self.readers, longest, strict=True)])
            return texts
        worst = {reader.name: max(phrases, key=reader.count) for reader in bound}

        def fits(reader: TextReader, *parts: str) -> bool:
            return reader.reads(_join(parts[0], worst[reader.name], *parts[1:]))

        split = min(longest_part(prompt, lambda part, r=reader: fits(r, part)) for reader in bound)
        head, tail = prompt[:split].strip(_EDGES), prompt[split:].strip(_EDGES)
        least = min(reader.limit for reader in bound)
        rest = {
            reader.name: longest_part(tail, lambda part, r=reader: fits(r, head, part)) if reader.limit > least else 0
            for reader in bound
        }
        end = tail[: max(rest.values())]
        placed = [_join(head, phrase, end) for phrase in phrases]
        self._placed.update(placed)
        self._remark(prompt, [tail[rest.get(reader.name, 0) :].strip(_EDGES) for reader in self.readers])
        return placed

    def _remark(self, prompt: str, unread: Sequence[str]) -> None:
        """Adds a remark on a prompt of which the readers do not read these ends, empty for none."""
        cut: dict[str, list[TextReader]] = {}
        for reader, end in zip(self.readers, unread, strict=True):
            cut.setdefault(end, []).append(reader)
        whole = cut.pop("", [])
        if not cut:
            return
        parts = []
        for end, readers in cut.items():
            limits = " and ".join(dict.fromkeys(str(reader.limit) for reader in readers))
            verb = "does" if len(readers) == 1 else "do"
            parts.append(f"{_names(readers)} ({limits} tokens) {verb} not read {_quoted(end, _LONGEST_CUT)}")
        shown = _quoted(prompt, _QUOTED)
        if whole:
            verb = "reads" if len(whole) == 1 else "read"
            add_remark(f"the prompt {shown} is too long for some text encoders: {'; '.join(parts)}, which "
                       f"{_names(whole)} {verb}")  # fmt: skip
        else:
            add_remark(f"the prompt {shown} is too long and was cut: {'; '.join(parts)}; {self._advice}")


def longest_part(text: str, fits: Callable[[str], bool]) -> int:
    """Returns the length of the longest leading part of a text that fits, in whole words where one word fits."""
    if fits(text):
        return len(text)
    low, high = 0, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(text[:middle]) else (low, middle)
    part = text[:low]
    if text[low].isspace() or part != part.rstrip():  # between two words
        return len(part.rstrip())
    words = part.rsplit(None, 1)
    return len(words[0]) if len(words) == 2 and words[0].strip() else low


def _join(*parts: str) -> str:
    return ", ".join(part.strip(_EDGES) for part in parts if part.strip(_EDGES))


def _names(readers: Sequence[TextReader]) -> str:
    return " and ".join(reader.name for reader in readers)


def _quoted(text: str, limit: int) -> str:
    return repr(text if len(text) <= limit else f"{text[: limit - 3]}...")
