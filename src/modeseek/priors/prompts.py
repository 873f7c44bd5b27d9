"""Conditions of prompts, and the codec of a prior, for loops in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from modeseek.codec import Codec
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.wrapper import require_text, unwrap

OfView = TypeVar("OfView", bound=Callable[..., Any])


@runtime_checkable
class EncodedPrior(Protocol):
    """Prior that has a codec of its own between images and z, such as `Pipeline`."""

    codec: Codec


def codec_of(prior: Prior) -> Codec | None:
    """Returns the codec between images and z of a prior, wrapped or not; None if it has none."""
    inner = unwrap(prior)
    return inner.codec if isinstance(inner, EncodedPrior) else None


def encode_prompts(
    conditions: str | Sequence[str] | Conditions | OfView | None, prior: Prior, n: int
) -> Conditions | OfView | None:
    """Returns conditions with prompts encoded by their prior, and the empty prompt as null; others are unchanged.

    One prompt is the condition of all items; of several, item i has prompt i modulo their number. No prior call.

    Args:
        conditions: prompt, prompts, conditions, function of the view, or None.
        prior: prior, wrapped or not.
        n: number of items.

    Raises:
        TypeError: conditions of another type.
        ValueError: no prompt, an empty one, more than n, or a prior that takes no prompts.
    """
    if conditions is None or isinstance(conditions, Conditions) or callable(conditions):
        return conditions
    texts = [conditions] if isinstance(conditions, str) else conditions
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise TypeError(
            "conditions must be a prompt, a list of prompts, ms.Conditions or a function of the view, got "
            f"{type(conditions).__name__}; try prior.conditions([prompt])"
        )
    if not texts or not all(text.strip() for text in texts):
        raise ValueError(f"prompts must not be empty, got {conditions!r:.80}; try conditions=None for none")
    if len(texts) > n:
        raise ValueError(f"{len(texts)} prompts need as many items, got batch={n}; use batch={len(texts)}")
    own = require_text(prior, type(unwrap(prior)).__name__)
    return own.conditions(list(texts) if len(texts) == 1 else [texts[item % len(texts)] for item in range(n)])
