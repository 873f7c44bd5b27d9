"""Prompt debiasing: removes words that contradict a view, such as "smiling" in a back view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modeseek.camera_conditions.perp_neg_views import PerpNegViews
from modeseek.camera_conditions.prompt_rows import encode_variants
from modeseek.camera_conditions.view_prompts import ViewConditions, ViewPrompts
from modeseek.priors.base import TextPrior

ViewLikelihoods = Callable[[str], Sequence[float]]
"""Prompt -> likelihoods of the views front, side, back and overhead, each >= 0; for example a `BertViews`."""


@dataclass(frozen=True)
class DebiasedPrompts:
    """Prompt debiasing of D-SDS (Hong, Ahn, Kim 2023, arXiv 2303.15413; threshold and form of threestudio).

    A word u of a prompt y is removed for view v if `P(v | y) / ((P(v | y) + P(v | y without u)) / 2)` is below the
    threshold, that is, if the view is much likelier without the word. Each word is tested alone against the whole
    prompt.

    Attributes:
        view_likelihoods: likelihoods of the four views given a prompt; called once per word and once for the prompt.
        views: view phrases that are added to the debiased prompt.
        threshold: ratio below which a word is removed, in (0, 1).
        keep_words: words that are never removed, such as the noun; articles are always kept.
    """

    view_likelihoods: ViewLikelihoods
    views: ViewPrompts = ViewPrompts()
    threshold: float = 0.95
    keep_words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(
                f"DebiasedPrompts needs a threshold in (0, 1), got {self.threshold}; threestudio uses 0.95"
            )

    def debias(self, prompt: str) -> tuple[str, str, str, str]:
        """Returns the debiased prompts of the front, side, back and overhead views, without view phrases.

        Raises:
            ValueError: likelihoods that are not four numbers >= 0, or a prompt without remaining words.
        """
        words = prompt.split()
        whole = self._likelihoods(prompt)
        remaining = [list(words) for _ in range(4)]
        for i, word in enumerate(words):
            if word.strip(",.").lower() in {"a", "an", "the", *(kept.lower() for kept in self.keep_words)}:
                continue
            without = self._likelihoods(" ".join(words[:i] + words[i + 1 :]))
            for view in range(4):
                mean = (whole[view] + without[view]) / 2
                if mean > 0 and whole[view] / mean < self.threshold:
                    remaining[view][i] = ""
        front, side, back, overhead = (" ".join(word for word in row if word) for row in remaining)
        if not all((front, side, back, overhead)):
            raise ValueError(
                f"debiasing leaves no words of {prompt!r} for some view; pass words to keep, keep_words=(...)"
            )
        return front, side, back, overhead

    def texts(self, prompt: str) -> tuple[str, str, str, str]:
        """Returns the debiased prompts with view phrases: front, side, back and overhead."""
        front, side, back, overhead = (self.views.texts(text)[i] for i, text in enumerate(self.debias(prompt)))
        return front, side, back, overhead

    def encode(
        self, prior: TextPrior, prompts: Sequence[str], negative: str = "", perp_neg: PerpNegViews | None = None
    ) -> ViewConditions:
        """Encodes the debiased variants of every prompt, see `ViewPrompts.encode`.

        Raises:
            ValueError: no prompts.
        """

        def variants(prompt: str) -> list[tuple[str, str]]:
            return list(zip(self.debias(prompt), self.views.phrases, strict=True))

        conditions = encode_variants(prior, prompts, variants, negative, self.views.before)
        return ViewConditions(self.views, conditions, len(prompts), perp_neg)

    def _likelihoods(self, prompt: str) -> list[float]:
        likelihoods = [float(p) for p in self.view_likelihoods(prompt)]
        if len(likelihoods) != 4 or not all(0 <= p < float("inf") for p in likelihoods):
            raise ValueError(f"view_likelihoods must return four likelihoods >= 0, got {likelihoods} for {prompt!r}")
        return likelihoods
