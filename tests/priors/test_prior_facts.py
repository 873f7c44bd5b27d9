"""What priors say of themselves: classes and text; forwarded by wrappers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

import modeseek as ms
from modeseek.priors.base import BasePrior, Conditions
from modeseek.priors.wrapper import require_text, unwrap, wrappers
from modeseek.pytree import Cond

DATA = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
LABELS = torch.tensor([0, 2, 2])


def mixture(labels: torch.Tensor | None) -> ms.GaussianMixture:
    covs = 0.1 * torch.eye(2, dtype=torch.float64).expand(3, 2, 2)
    return ms.GaussianMixture(torch.full((3,), 1 / 3, dtype=torch.float64), DATA, covs, labels=labels)


def wrapped(prior: ms.Prior) -> list[ms.Prior]:
    guided = ms.Guided(ms.Counting(prior), 2.0)
    return [ms.Counting(prior), guided, ms.PerpNeg(prior), ms.Product(guided, DATA[:1], 0.5)]


@pytest.mark.parametrize("kind", ["mixture", "empirical"])
def test_exact_priors_count_their_classes(kind: str) -> None:
    labelled, plain = (mixture(x) if kind == "mixture" else ms.Empirical(DATA, labels=x) for x in (LABELS, None))
    for prior in (labelled, *wrapped(labelled)):
        assert (prior.n_classes, prior.takes_text) == (3, False)  # labels go up to 2
    for prior in (plain, *wrapped(plain)):
        assert prior.n_classes == 0


def test_a_network_counts_its_classes(rng: torch.Generator) -> None:
    network = ms.Network.train(DATA.repeat(4, 1), LABELS.repeat(4), steps=1, width=4, depth=1, batch=4, rng=rng)
    assert network.n_classes == 3 and ms.Counting(network).n_classes == 3


def test_the_innermost_prior_is_found_in_any_nest() -> None:
    prior = mixture(None)
    for outer in (prior, *wrapped(prior)):
        assert unwrap(outer) is prior
    product = wrapped(prior)[-1]
    assert [type(wrapper).__name__ for wrapper in wrappers(product)] == ["Product", "Guided", "Counting"]


def test_a_prior_that_takes_text_encodes_it_through_its_wrappers() -> None:
    class Words(BasePrior):
        """Prior that encodes a text as its length."""

        schedule, shape, dtype, device = ms.VP(), (2,), torch.float64, torch.device("cpu")

        @property
        def takes_text(self) -> bool:
            return True

        def at(self, z_t: Tensor, alpha: Tensor, sigma: Tensor, cond: Cond = None) -> ms.Prediction:
            return ms.Prediction.from_z(z_t, alpha, sigma, z_t)

        def conditions(self, texts: Sequence[str], negative: Sequence[str] | None = None) -> Conditions:
            return Conditions(torch.tensor([len(text) for text in texts]))

    prior = Words()
    for outer in (prior, *wrapped(prior)):
        assert outer.takes_text
        assert require_text(outer, "words").conditions(["ab", "abc"]).positive.tolist() == [2, 3]
    with pytest.raises(ValueError, match="ring takes no prompts: got prompts; use a pipeline prior, or set label"):
        require_text(mixture(None), "ring")
