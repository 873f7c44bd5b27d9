"""Prompts without the words that contradict a view: no "smiling" from behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modeseek.camera_conditions.perp_neg_views import PerpNegViews
from modeseek.camera_conditions.view_prompts import TextPrior, ViewConditions, ViewPrompts

ViewLikelihoods = Callable[[str], Sequence[float]]
"""How likely each of the four views (front, side, back, overhead) is, given a prompt; see `BertViews`."""


@dataclass(frozen=True)
class DebiasedPrompts:
    """D-SDS's prompt debiasing (Hong, Ahn, Kim 2023, arXiv 2303.15413; threshold and form of threestudio).

    A word u of a prompt y is left out for view v where `P(v | y) / ((P(v | y) + P(v | y without u)) / 2)` is below the
    threshold: the view is much likelier without it. Words are tried one at a time, always against the whole prompt.

    Attributes:
        likely: asks a language model, or people; called once a word and once for the whole.
        views: the view phrases.
        threshold: in (0, 1); 1 less a little.
        kept: words that are never left out, such as the noun; "a", "an", "the" never are.
    """

    view_likelihoods: ViewLikelihoods
    views: ViewPrompts = ViewPrompts()
    threshold: float = 0.95
    keep_words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(
                f"DebiasedPrompts needs a threshold in (0, 1): got {self.threshold}; 0.95 is threestudio's"
            )

    def debias(self, prompt: str) -> tuple[str, str, str, str]:
        """What is left of the prompt from the front, the side, the back and overhead, without view phrases.

        Raises:
            ValueError: likelihoods that are not four numbers >= 0, or nothing left of the prompt.
        """
        words = prompt.split()
        whole = self._likelihoods(prompt)
        left = [list(words) for _ in range(4)]
        for i, word in enumerate(words):
            if word.strip(",.").lower() in {"a", "an", "the", *(one.lower() for one in self.keep_words)}:
                continue
            without = self._likelihoods(" ".join(words[:i] + words[i + 1 :]))
            for view in range(4):
                middle = (whole[view] + without[view]) / 2
                if middle > 0 and whole[view] / middle < self.threshold:
                    left[view][i] = ""
        front, side, back, overhead = (" ".join(word for word in row if word) for row in left)
        if not all((front, side, back, overhead)):
            raise ValueError(f"debiasing leaves nothing of {prompt!r} for some view; name words to keep, keep_words=(...)")
        return front, side, back, overhead

    def texts(self, prompt: str) -> tuple[str, str, str, str]:
        """What is said from the front, the side, the back and overhead."""
        front, side, back, overhead = (self.views.texts(said)[i] for i, said in enumerate(self.debias(prompt)))
        return front, side, back, overhead

    def encode(
        self, prior: TextPrior, prompts: Sequence[str], negative: str = "", perp_neg: PerpNegViews | None = None
    ) -> ViewConditions:
        """As `ViewPrompts.encode`, of what is left of each prompt.

        Raises:
            ValueError: no prompts.
        """
        if not prompts:
            raise ValueError("view prompts need a prompt: got none")
        texts = [text for prompt in prompts for text in self.texts(prompt)]
        return ViewConditions(
            self.views, prior.conditions(texts, [negative] if negative else None), len(prompts), perp_neg
        )

    def _likelihoods(self, prompt: str) -> list[float]:
        found = [float(p) for p in self.view_likelihoods(prompt)]
        if len(found) != 4 or not all(0 <= p < float("inf") for p in found):
            raise ValueError(f"four views have four likelihoods >= 0: got {found} for {prompt!r}; mend `likely`")
        return found
