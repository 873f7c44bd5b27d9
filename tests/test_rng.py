"""Streams: draws depend on (seed, step, item) and nothing else."""

from __future__ import annotations

import pytest
import torch
from cases import F64, mixture, one_line
from hypothesis import given
from hypothesis import strategies as st

from modeseek.rng import Streams, rand, randn

LIKE = torch.empty(0, dtype=F64)
ITEMS = st.lists(st.integers(0, 10**6), min_size=1, max_size=6, unique=True)


@given(items=ITEMS, rows=st.integers(1, 3), seed=st.integers(0, 2**40), step=st.integers(0, 10**6))
def test_a_batch_draws_what_singles_draw(items: list[int], rows: int, seed: int, step: int) -> None:
    for draw in (randn, rand):
        batch = draw((len(items) * rows, 2), Streams(seed, step, tuple(items)), LIKE)
        singles = [draw((rows, 2), Streams(seed, step, (item,)), LIKE) for item in items]
        assert torch.equal(batch, torch.cat(singles))


@given(items=ITEMS.filter(lambda x: len(x) > 1), shuffle=st.randoms(use_true_random=False))
def test_order_does_not_matter(items: list[int], shuffle) -> None:
    order = list(range(len(items)))
    shuffle.shuffle(order)
    plain = randn((len(items), 3), Streams(7, 1, tuple(items)), LIKE)
    mixed = randn((len(items), 3), Streams(7, 1, tuple(items[i] for i in order)), LIKE)
    assert torch.equal(mixed, plain[order])


def test_draws_continue_and_at_starts_afresh() -> None:
    streams = Streams(3, 5, (1, 2))
    first, second = (randn((2, 4), streams, LIKE) for _ in range(2))
    assert not torch.equal(first, second)
    single = Streams(3, 5, (2,))
    assert torch.equal(randn((1, 4), single, LIKE)[0], first[1])
    assert torch.equal(randn((1, 4), single, LIKE)[0], second[1])
    assert torch.equal(randn((2, 4), streams.at(5), LIKE), first)
    assert torch.equal(randn((2, 4), Streams(3, 0, (1, 2)).at(5), LIKE), first)
    assert torch.equal(randn((1, 4), streams.at(5, (2,)), LIKE)[0], first[1])


def test_seed_step_item_and_use_each_matter() -> None:
    draws = [randn((1, 8), s, LIKE) for s in (Streams(0), Streams(1), Streams(0, 1), Streams(0, 0, (1,)))]
    draws.append(randn((1, 8), Streams(1, 0, (1,)), LIKE))
    draws.append(randn((1, 8), Streams(0, use="view"), LIKE))
    assert torch.equal(randn((1, 8), Streams(0, 3).at(0, use="view"), LIKE), draws[-1])
    for i, a in enumerate(draws):
        for b in draws[:i]:
            assert not torch.isclose(a, b).any()


def test_streams_are_independent_and_normal() -> None:
    x = randn((4000, 2), Streams(11, 0, tuple(range(2000))), LIKE)
    assert x.mean().abs() < 4 / 8000**0.5
    assert (x.var() - 1).abs() < 4 * (2 / 8000) ** 0.5
    neighbours = (x[:-2] * x[2:]).mean()
    assert neighbours.abs() < 4 / 8000**0.5
    u = rand((4000,), Streams(11, 1, tuple(range(4000))), LIKE)
    assert 0 <= u.min() and u.max() < 1
    assert (u.mean() - 0.5).abs() < 4 * (1 / 12 / 4000) ** 0.5


def test_a_generator_is_simply_drawn_from() -> None:
    want = torch.randn(3, 2, generator=torch.Generator().manual_seed(5), dtype=F64)
    assert torch.equal(randn((3, 2), torch.Generator().manual_seed(5), LIKE), want)
    assert randn((1,), torch.Generator(), torch.empty(0)).dtype == torch.float32


def test_global_randomness_is_untouched() -> None:
    before = torch.get_rng_state()
    randn((4, 2), Streams(0, 0, (1, 2)), LIKE)
    mixture("plane").sample(10, Streams(0))
    mixture("plane").start(4, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_prior_samples_by_item() -> None:
    prior = mixture("plane")
    batch = prior.sample(4, Streams(1, 2, (5, 6, 7, 8)))
    singles = [prior.sample(1, Streams(1, 2, (item,))) for item in (5, 6, 7, 8)]
    assert torch.equal(batch, torch.cat(singles))


def test_rows_that_cannot_be_shared() -> None:
    with pytest.raises(ValueError, match="5 rows cannot be shared by 2 items") as caught:
        randn((5, 2), Streams(0, 0, (1, 2)), LIKE)
    one_line(caught.value)
    with pytest.raises(ValueError, match="at least one item") as caught:
        Streams(0, 0, ())
    one_line(caught.value)
