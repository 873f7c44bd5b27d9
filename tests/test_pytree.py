"""Conditions as pytrees."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from cases import one_line
from torch import Tensor

from modeseek.priors.base import Conditions, positive_condition, select_conditions
from modeseek.pytree import concatenate, expand, map_tensors, select


class Text(NamedTuple):
    """Condition as a named tuple."""

    embedding: Tensor
    pooled: Tensor


def tree() -> dict[str, object]:
    return {"a": torch.arange(6.0).reshape(3, 2), "b": [torch.arange(3), (torch.ones(1, 4), None)]}


def test_map_keeps_the_structure() -> None:
    doubled = map_tensors(lambda x: 2 * x, tree())
    assert list(doubled) == ["a", "b"]
    assert isinstance(doubled["b"], list) and isinstance(doubled["b"][1], tuple)
    assert torch.equal(doubled["a"], 2 * torch.arange(6.0).reshape(3, 2))
    assert doubled["b"][1][1] is None
    assert map_tensors(lambda x: x, None) is None


def test_map_takes_named_tuples() -> None:
    text = Text(torch.ones(2, 3), torch.zeros(2))
    grown = map_tensors(lambda x: x + 1, text)
    assert isinstance(grown, Text)
    assert torch.equal(grown.pooled, torch.ones(2))


def test_expand_broadcasts_only_ones() -> None:
    grown = expand({"a": torch.ones(1, 4), "b": torch.arange(3)}, 3)
    assert grown["a"].shape == (3, 4)
    assert torch.equal(grown["b"], torch.arange(3))
    for bad in (torch.ones(2, 4), torch.tensor(1.0)):
        with pytest.raises(ValueError, match="batch size 3") as caught:
            expand({"a": bad}, 3)
        assert str(tuple(bad.shape)) in one_line(caught.value)


def test_select_takes_rows_and_leaves_shared_ones() -> None:
    chosen = select(tree(), torch.tensor([2, 0]))
    assert torch.equal(chosen["a"], torch.tensor([[4.0, 5.0], [0.0, 1.0]]))
    assert torch.equal(chosen["b"][0], torch.tensor([2, 0]))
    assert chosen["b"][1][0].shape == (1, 4)


def test_join_concatenates() -> None:
    both = concatenate([tree(), tree()])
    assert both["a"].shape == (6, 2)
    assert torch.equal(both["b"][0], torch.tensor([0, 1, 2, 0, 1, 2]))
    with pytest.raises(ValueError):
        concatenate([(torch.ones(1),), (torch.ones(1), torch.ones(1))])


def test_what_is_no_condition() -> None:
    with pytest.raises(TypeError, match="got str") as caught:
        map_tensors(lambda x: x, {"a": "a prompt"})
    one_line(caught.value)


def test_take_and_positive() -> None:
    weight = torch.tensor([1.0, 2.0])
    conditions = Conditions(torch.tensor([3, 4]), null=torch.tensor([-1]), opposed=((torch.tensor([5, 6]), weight),))
    twice = select_conditions(conditions, torch.tensor([0, 0, 1, 1]))
    assert torch.equal(twice.positive, torch.tensor([3, 3, 4, 4]))
    assert torch.equal(twice.null, torch.tensor([-1]))
    assert twice.negative is None
    assert torch.equal(twice.opposed[0][0], torch.tensor([5, 5, 6, 6]))
    assert torch.equal(twice.opposed[0][1], torch.tensor([1.0, 1.0, 2.0, 2.0]))
    assert positive_condition(conditions) is conditions.positive
    assert positive_condition(weight) is weight
    assert select_conditions(None, torch.arange(3)) is None


def test_conditions_of_different_lengths_are_no_batch() -> None:
    short, long = ({"text": torch.zeros(1, n, 4), "pooled": torch.zeros(1, 4)} for n in (77, 154))
    with pytest.raises(ValueError, match=r"must have one shape, got \(77, 4\) and \(154, 4\); encode") as caught:
        concatenate([short, long])
    one_line(caught.value)


def test_baseline_prefers_the_negative() -> None:
    null, negative = torch.tensor([-1]), torch.tensor([2])
    assert Conditions(negative, null=null).baseline is null
    assert Conditions(null, null=null, negative=negative).baseline is negative
    with pytest.raises(ValueError, match="null") as caught:
        _ = Conditions(null).baseline
    one_line(caught.value)
