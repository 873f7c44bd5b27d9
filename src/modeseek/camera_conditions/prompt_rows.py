"""Encoded variants of prompts: several texts per prompt, and the prompt of each camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jaxtyping import Int
from torch import Tensor

from modeseek.priors.base import Conditions, TextPrior


def encode_variants(
    prior: TextPrior, prompts: Sequence[str], variants: Callable[[str], Sequence[str]], negative: str
) -> Conditions:
    """Encodes all variants of every prompt, prompt by prompt; `negative` is empty for none.

    Raises:
        ValueError: no prompts.
    """
    if not prompts:
        raise ValueError("view prompts need at least one prompt, got none")
    texts = [text for prompt in prompts for text in variants(prompt)]
    return prior.conditions(texts, [negative] if negative else None)


def prompt_indices(prompt: Int[Tensor, "b"] | None, n: int, like: Int[Tensor, "b"]) -> Int[Tensor, "b"]:
    """Returns the prompt index of each camera, with shape and dtype of `like`; None is the first prompt.

    Raises:
        ValueError: an index outside [0, n).
    """
    index = like.new_zeros(like.shape) if prompt is None else prompt.to(like)
    if len(index) and not 0 <= int(index.min()) <= int(index.max()) < n:
        raise ValueError(f"prompt indices must be in [0, {n}), got {index.tolist()}")
    return index
