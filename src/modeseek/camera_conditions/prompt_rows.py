"""Encoded variants of prompts: several texts per prompt, and the prompt of each camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jaxtyping import Int
from torch import Tensor

from modeseek.priors.base import Conditions, PhrasePlacing, TextPrior


def encode_variants(
    prior: TextPrior,
    prompts: Sequence[str],
    variants: Callable[[str], Sequence[tuple[str, str]]],
    negative: str,
    before: bool = False,
) -> Conditions:
    """Encodes all variants of every prompt, prompt by prompt.

    A prompt that is longer than the prior reads is shortened where `place_phrases` says, never its view phrase.

    Args:
        prior: prior that encodes the texts.
        prompts: one or more prompts.
        variants: function from a prompt to its variants: text and view phrase of each.
        negative: negative prompt, empty for none.
        before: whether the phrase precedes the text; otherwise it follows after a comma.

    Raises:
        ValueError: no prompts, or a view phrase that fits into no text encoder of the prior.
    """
    if not prompts:
        raise ValueError("view prompts need at least one prompt, got none")
    pairs = [pair for prompt in prompts for pair in variants(prompt)]
    placed: dict[tuple[str, str], str] = {}
    for text in dict.fromkeys(text for text, _ in pairs):
        phrases = list(dict.fromkeys(phrase for of, phrase in pairs if of == text))
        if isinstance(prior, PhrasePlacing):
            texts = prior.place_phrases(text, phrases, before)
        else:
            texts = [f"{phrase}, {text}" if before else f"{text}, {phrase}" for phrase in phrases]
        placed |= {(text, phrase): whole for phrase, whole in zip(phrases, texts, strict=True)}
    return prior.conditions([placed[pair] for pair in pairs], [negative] if negative else None)


def prompt_indices(prompt: Int[Tensor, "b"] | None, n: int, like: Int[Tensor, "b"]) -> Int[Tensor, "b"]:
    """Returns the prompt index of each camera, with shape and dtype of `like`; None is the first prompt.

    Raises:
        ValueError: an index outside [0, n).
    """
    index = like.new_zeros(like.shape) if prompt is None else prompt.to(like)
    if len(index) and not 0 <= int(index.min()) <= int(index.max()) < n:
        raise ValueError(f"prompt indices must be in [0, {n}), got {index.tolist()}")
    return index
