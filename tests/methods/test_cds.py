"""CDS: its contrastive term against a literal loss and finite differences, and against the bundled network."""

from __future__ import annotations

import math

import pytest
import torch
from cases_methods import (
    PerRow,
    check_batch,
    class_prior,
    count_calls,
    label_conditions,
    one_line,
    step,
)
from cases_shift import generator
from oracles_shift import F64
from torch import Tensor

import modeseek as ms
from modeseek.methods.cds import CDS
from modeseek.methods.dds import DDS
from modeseek.methods.patch_nce import patch_nce
from modeseek.priors.base import select_conditions

CONDITIONS = ms.Conditions(torch.tensor([0, 1, 1, 0]), null=torch.tensor([-1]), source=torch.tensor([1, 0, 1, 0]))


def images(n: int, seed: int) -> Tensor:
    return torch.randn(n, 1, 4, 4, dtype=F64, generator=generator(seed))


PRIOR = ms.Empirical(images(20, 0), ms.VP(), torch.arange(20) % 2)
Z, SOURCE = images(4, 1), images(4, 2)


def features(prior: ms.Prior, z_t: Tensor, alpha: Tensor, sigma: Tensor, cond: object) -> list[Tensor]:
    """A layer of three channels that does not call the prior, and one of its predictions."""
    z = prior.at(z_t, alpha, sigma, cond).z
    return [torch.cat([z_t.sin(), z_t.cos(), 0.3 * z_t], 1), torch.cat([z, z_t.square()], 1)]


def literal(target: Tensor, source: Tensor, temperature: float = 0.07) -> float:
    """PatchNCE of one row, (c, h, w): cross-entropy with the positive first and the own patch out of the negatives."""
    f, g = ([v / v.norm() for v in maps.flatten(1).T] for maps in (target, source))
    total = 0.0
    for i, query in enumerate(f):
        logits = [float(query @ g[i]) / temperature]
        logits += [float(query @ g[j]) / temperature for j in range(len(g)) if j != i]
        total += math.log(sum(math.exp(x - logits[0]) for x in logits))
    return total / len(f)


def literal_sum(prior: ms.Prior, z: Tensor, source: Tensor, eps: Tensor, t: float, row: int) -> float:
    """The loss of one row over both layers and both sides of patches."""
    one = select_conditions(CONDITIONS, torch.tensor([row]))
    alpha, sigma = (x[None] for x in prior.schedule(torch.tensor(t, dtype=F64)))
    sides = [
        features(prior, alpha * x + sigma * eps, alpha, sigma, cond)
        for x, cond in ((z, one.positive), (source, one.source))
    ]
    total = 0.0
    for f, g in zip(*sides, strict=True):
        total += literal(f[0], g[0])
        pooled = [x[0].unflatten(1, (2, 2)).unflatten(3, (2, 2)).mean((2, 4)) for x in (f, g)]
        total += literal(*pooled)
    return total


def test_the_contrastive_term_is_the_gradient_of_the_literal_loss() -> None:
    times = PerRow()
    d = step(CDS(SOURCE, times, cut=3.0, features=features), PRIOR, Z, conditions=CONDITIONS)
    dds = step(DDS(SOURCE, times), PRIOR, Z, conditions=CONDITIONS)
    assert torch.equal(d.eps, dds.eps) and torch.allclose(d.prediction.eps, dds.prediction.eps, rtol=0, atol=1e-12)
    pull = (d.grad - dds.grad) / (3.0 * 16 / 2000)
    for row in (0, 1, 3):
        one, source, eps = (x[row : row + 1] for x in (Z, SOURCE, d.eps))
        assert float(d.logs["nce"][row]) == pytest.approx(literal_sum(PRIOR, one, source, eps, times.t[row], row))
        for i, j in ((0, 0), (2, 1), (3, 3)):
            move = torch.zeros_like(one)
            move[0, 0, i, j] = 1e-5
            ends = [literal_sum(PRIOR, one + sign * move, source, eps, times.t[row], row) for sign in (1, -1)]
            assert float(pull[row, 0, i, j]) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-7)


def test_without_the_cut_it_is_dds() -> None:
    for prior, conditions in ((PRIOR, CONDITIONS), (class_prior(), label_conditions(source=2))):
        z = Z if prior is PRIOR else torch.randn(4, 2, dtype=F64, generator=generator(3))
        ours, dds = (step(m, prior, z, conditions=conditions) for m in (CDS(cut=0.0), DDS()))
        assert torch.equal(ours.grad, dds.grad) and (ours.logs["nce"] == 0).all()


def test_at_its_source_it_is_near_its_minimum() -> None:
    same = ms.Conditions(CONDITIONS.positive, null=CONDITIONS.null, source=CONDITIONS.positive)
    method = CDS(SOURCE, PerRow(), features=features)
    there = step(method, PRIOR, SOURCE, conditions=same)
    away = step(method, PRIOR, SOURCE + 0.7 * images(4, 5), conditions=same)
    assert (there.logs["nce"] < away.logs["nce"]).all()
    assert (there.grad.flatten(1).norm(dim=1) < away.grad.flatten(1).norm(dim=1)).all()


def test_patch_nce_of_many_patches_samples_them_alike_on_both_sides() -> None:
    f = torch.randn(2, 5, 20, 20, dtype=F64, generator=generator(1))
    far = patch_nce(f, f.flip(3), ms.Streams(0, items=(0, 1)))
    near = patch_nce(f, f, ms.Streams(0, items=(0, 1)), temperature=0.01)
    assert (near < 0.1).all() and (far > 1.0).all()
    alone = patch_nce(f[1:], f.flip(3)[1:], ms.Streams(0, items=(1,)))
    assert torch.allclose(alone[0], far[1], rtol=0, atol=1e-12)
    moved = f.clone().requires_grad_()
    patch_nce(moved, moved, generator()).sum().backward()  # the source is a constant
    again = f.clone().requires_grad_()
    patch_nce(again, f, generator()).sum().backward()
    assert torch.equal(moved.grad, again.grad)
    assert int((again.grad.abs().sum(1) > 0).sum()) <= 2 * 256


def test_a_batch_is_its_items_alone_and_calls() -> None:
    method = CDS(torch.zeros(1, dtype=F64), features=features)
    check_batch(method, PRIOR, CONDITIONS, Z)
    counted = ms.Counting(PRIOR)
    step(method, counted, Z, conditions=CONDITIONS)
    assert counted.calls == 4 * (4 + 2)
    assert count_calls(CDS(cut=0.0), conditions=label_conditions(source=2)) == 4 * 4


@pytest.mark.slow
def test_the_features_of_a_bundled_network() -> None:
    """Four self-attention layers of its up blocks, at no further call; the slope agrees with finite differences."""
    prior = ms.bundled("scenes", device="cpu")
    conditions = prior.conditions(["a red cone"])
    source = prior.conditions(["a blue cube"]).positive
    conditions = ms.Conditions(conditions.positive, null=conditions.null, source=source)
    z = 0.5 * torch.randn(1, *prior.shape, generator=generator(1))
    away = z + 0.3 * torch.randn(1, *prior.shape, generator=generator(2))
    counted, level = ms.Counting(prior), prior.schedule(torch.tensor([0.4]))
    with prior.record_features() as maps:
        prior.at(away, *level, conditions.positive)
    assert len(maps) == 4 and all(x.shape[0] == 1 and x.shape[-1] == x.shape[-2] for x in maps)
    with prior.record_features() as none:
        pass
    assert none == [] and len(maps) == 4

    def direction(point: Tensor, cut: float = 3.0) -> ms.Direction:
        method = CDS(z, ms.noise_levels.Annealed(0.4, 0.4), cut=cut)
        return step(method, counted, point, ms.Streams(0), conditions=conditions)

    d = direction(away)
    assert counted.calls == 4 and not d.grad.requires_grad
    dds = direction(away, 0.0)
    pull = (d.grad - dds.grad) / (3.0 * 256 / 2000)
    along = pull / pull.norm()
    ends = [float(direction(away + sign * 0.02 * along).logs["nce"]) for sign in (1, -1)]
    assert (ends[0] - ends[1]) / 0.04 == pytest.approx(float(pull.norm()), rel=0.05)


def test_mistakes(unchecked: None) -> None:
    with pytest.raises(ValueError, match="CDS cut must be >= 0 and finite, got -1"):
        CDS(cut=-1.0)
    with pytest.raises(ValueError, match="CDS needs features of a network, got Empirical; try a pipeline") as error:
        step(CDS(), PRIOR, Z, conditions=CONDITIONS)
    one_line(error.value)
    with pytest.raises(ValueError, match="CDS needs the conditions positive, source") as error:
        step(CDS(features=features), PRIOR, Z)
    one_line(error.value)
    with pytest.raises(TypeError, match="CDS guides by itself"):
        CDS().init(Z, ms.Guided(PRIOR))
    with pytest.raises(ValueError, match="Linear must have self-attention layers for features, got none"):
        from modeseek.priors.pipeline.feature_hooks import record_self_attention

        with record_self_attention(torch.nn.Linear(1, 1), (1, 4, 4)):
            pass
