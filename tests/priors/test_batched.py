"""Batched evaluation: each branch gets the prediction of an evaluation of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from cases_methods import MEANS, Z, class_prior, eps_of, levels, one_line
from cases_shift import generator
from oracles_shift import F64

import modeseek as ms
from modeseek.methods.noising import sample_noised
from modeseek.priors.batched import evaluate_batched, predict_branches, require_conditions
from modeseek.priors.wrapper import PriorWrapper


@dataclass
class RecordingPrior(PriorWrapper):
    """Prior that records the number of rows of every call."""

    prior: ms.Prior
    sizes: list[int] = field(default_factory=list)

    def at(self, z_t, alpha, sigma, cond=None):
        self.sizes.append(len(z_t))
        return self.prior.at(z_t, alpha, sigma, cond)


@pytest.mark.parametrize("schedule", ["VP", "Flow"])
def test_every_branch_predicts_under_its_own_condition_in_one_call(schedule):
    prior = RecordingPrior(class_prior(schedule))
    alpha, sigma = levels(schedule)
    per_row = torch.tensor([2, 0, 1, 0])
    predictions = predict_branches(prior, Z, alpha[:, 0], sigma[:, 0], [torch.tensor([1]), per_row, torch.tensor([0])])
    assert prior.sizes == [12] and len(predictions) == 3
    for prediction, labels in zip(predictions, ([1] * 4, per_row.tolist(), [0] * 4), strict=True):
        for i, label in enumerate(labels):
            expected = eps_of(label, Z[i : i + 1], alpha[i : i + 1], sigma[i : i + 1])
            assert torch.allclose(prediction.eps[i], expected[0], rtol=0, atol=1e-12)
            denoised = (Z[i] - sigma[i] * expected[0]) / alpha[i]
            assert torch.allclose(prediction.z[i], denoised, rtol=0, atol=1e-11)
        assert torch.equal(prediction.z_t, Z) and torch.equal(prediction.alpha, alpha[:, 0])


def test_queries_may_differ_in_points_levels_and_number():
    prior = RecordingPrior(class_prior())
    alpha, sigma = levels("VP")
    far = torch.tensor([1, 3])
    none = torch.zeros(0, dtype=torch.long)
    queries = [
        (Z, alpha[:, 0], sigma[:, 0], torch.tensor([0])),
        (Z[far] + 1, alpha[far, 0], sigma[far, 0], torch.tensor([2, 1])),
        (Z[none], alpha[none, 0], sigma[none, 0], torch.tensor([1])),
    ]
    first, second, third = evaluate_batched(prior, queries)
    assert prior.sizes == [6] and [len(p.eps) for p in (first, second, third)] == [4, 2, 0]
    assert torch.allclose(first.eps, eps_of(0, Z, alpha, sigma), rtol=0, atol=1e-12)
    for row, (i, label) in enumerate(zip(far.tolist(), (2, 1), strict=True)):
        expected = eps_of(label, Z[i : i + 1] + 1, alpha[i : i + 1], sigma[i : i + 1])
        assert torch.allclose(second.eps[row], expected[0], rtol=0, atol=1e-12)


def test_structured_conditions_and_no_condition():
    prior = RecordingPrior(ms.GaussianMixture(torch.ones(1, dtype=F64), MEANS[:1], torch.eye(2, dtype=F64)[None]))
    one = torch.ones(4, dtype=F64)
    both = predict_branches(prior, Z, one, one, [None, None])
    assert torch.equal(both[0].eps, both[1].eps) and prior.sizes == [8]
    assert len(predict_branches(prior, Z, one, one, [None])) == 1 and prior.sizes == [8, 4]


@pytest.mark.parametrize(
    ("conds", "message"),
    [
        ([], "at least one condition"),
        ([torch.tensor([0]), None], "cannot batch None with conditions: got 1 of 2"),
        ([torch.tensor([0, 1])], "a condition needs a leading axis of 1 or the batch size 4"),
    ],
)
def test_what_cannot_be_batched_is_one_clear_line(conds, message):
    one = torch.ones(4, dtype=F64)
    with pytest.raises(ValueError, match=message) as error:
        predict_branches(class_prior(), Z, one, one, conds)
    one_line(error.value)


def test_missing_conditions_are_named():
    full = ms.Conditions(torch.tensor([0]), torch.tensor([1]))
    assert require_conditions(full, "CSD", "positive", "null") is full
    with pytest.raises(
        ValueError, match=r"CSD needs the conditions positive, negative: got Conditions without neg"
    ) as e:
        require_conditions(full, "CSD", "positive", "negative")
    assert one_line(e.value).endswith("pass Conditions(positive=..., negative=...)")
    with pytest.raises(ValueError, match=r"NFSD needs the conditions positive, null: got no conditions") as e:
        require_conditions(None, "NFSD", "positive", "null")
    one_line(e.value)


@pytest.mark.parametrize("schedule", ["VP", "Flow"])
def test_noising_is_alpha_z_plus_sigma_eps_at_its_own_times(schedule):
    prior = class_prior(schedule)
    at = sample_noised(Z, prior, ms.Uniform(), 0.0, generator())
    alpha, sigma = levels(schedule, tuple(at.t.tolist()))
    assert len(at.t.unique()) == 4
    assert torch.allclose(at.z_t, alpha * Z + sigma * at.eps, rtol=0, atol=1e-12)
