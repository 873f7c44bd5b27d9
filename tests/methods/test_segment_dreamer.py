"""SegmentDreamer against its recursion on Gaussians, and the order of its self-consistency."""

from __future__ import annotations

import pytest
import torch
from cases_methods import (
    NULL,
    POSITIVE,
    Z,
    check_batch,
    class_prior,
    count_calls,
    eps_of,
    label_conditions,
    one_line,
    step,
)
from cases_shift import SCHEDULES, generator, prior_of, three_gaussians
from oracles_shift import level
from torch import Tensor

import modeseek as ms
from modeseek.methods.segment_dreamer import SegmentDreamer, SegmentState

CONDITIONS = label_conditions(negative=None)


def ddim(label: int | None, x: Tensor, start: tuple[float, float], end: tuple[float, float], scale: float = 1.0):
    """One DDIM step of one row under a class, or guided from the null class to the positive one."""
    alpha, sigma = (torch.tensor([[v]], dtype=x.dtype) for v in start)
    eps = eps_of(NULL if label is None else label, x[None], alpha, sigma)[0]
    if label is None:
        eps = eps + scale * (eps_of(POSITIVE, x[None], alpha, sigma)[0] - eps)
    return end[0] * (x - start[1] * eps) / start[0] + end[1] * eps


@pytest.mark.parametrize("schedule", ["VP", "Flow", "Cosine", "VE"])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_it_is_its_recursion_on_gaussians(schedule: str, scale: float) -> None:
    method, prior = SegmentDreamer(scale=scale, segments=3), class_prior(schedule)
    d, state = method.step(
        Z, prior, method.init(Z, prior), conditions=CONDITIONS, progress=0.1, rng=ms.Streams(1, items=(0, 1, 2, 3))
    )
    for i in range(4):
        e, s, t = (level(schedule, float(d.logs[name][i])) for name in ("e", "s", "t"))
        n = state.noise[i][0]
        x_e = e[0] * Z[i] + e[1] * n
        x_t = ddim(NULL, ddim(NULL, x_e, e, s), s, t)
        x_s, cond = (ddim(None, x_t, t, end, scale) for end in (s, e))
        expected = t[1] / t[0] * (ddim(NULL, x_s, s, e) - x_e + (scale + 1) * (x_e - cond))
        assert torch.allclose(d.grad[i], expected, rtol=1e-8, atol=1e-8)


def test_times_are_those_of_stable_diffusion_in_segments() -> None:
    method, n = SegmentDreamer(), 4000
    prior, z = class_prior("VP"), torch.zeros(4000, 2, dtype=torch.float64)
    for progress, high in ((0.0, 0.98), (0.9, 0.5)):
        logs = step(
            method, prior, z, ms.Streams(0, items=tuple(range(n))), conditions=CONDITIONS, progress=progress
        ).logs
        e, s, t = (logs[name] for name in ("e", "s", "t"))
        edges = 0.02 + (high - 0.02) * torch.arange(5, dtype=torch.float64) / 5
        assert torch.allclose(e.unique().sort().values.round(decimals=6).unique(), edges, rtol=0, atol=1e-5)
        assert (e <= s).all() and (s <= t).all() and (t - e <= (high - 0.02) / 5 + 1e-9).all()
        assert abs(float(t.mean()) - (0.02 + high) / 2) < 0.02 and t.max() > high - 0.01
        assert abs(float(((s - e) / (t - e)).mean()) - 0.5) < 0.02
    # the same noise levels on another schedule
    for name in ("Flow", "VE"):
        other = step(method, class_prior(name), z[:4], generator(1), conditions=CONDITIONS).prediction
        same = step(method, prior, z[:4], generator(1), conditions=CONDITIONS).prediction
        assert torch.allclose(other.alpha / other.sigma, same.alpha / same.sigma, rtol=1e-6, atol=0)


def test_self_consistency_is_of_second_order_in_the_length_of_a_segment() -> None:
    """At scale -1 the second term is gone; without conditions both ways follow one flow, on a nonlinear mixture."""
    prior = prior_of(three_gaussians(), SCHEDULES["VP"])
    norms = [
        float(step(SegmentDreamer(0.4, 0.4 + width, 1, -1.0), prior, Z, generator(2)).grad.norm())
        for width in (0.04, 0.02, 0.01)
    ]
    assert 3.3 <= norms[0] / norms[1] <= 4.7 and 3.3 <= norms[1] / norms[2] <= 4.7


def test_the_pull_towards_the_condition_is_linear_in_scale_plus_one() -> None:
    """Without conditions the points do not depend on the scale: only its factor is left."""
    prior = prior_of(three_gaussians(), SCHEDULES["Flow"])
    first, second, third = (step(SegmentDreamer(scale=s), prior, Z, generator(3)).grad for s in (0.0, 2.0, 4.0))
    assert torch.allclose(third - second, second - first, rtol=0, atol=1e-10) and (first != second).all()


def test_noise_is_kept_along_the_run_and_absent_from_a_clean_edge() -> None:
    prior, method = class_prior("Flow"), SegmentDreamer()
    _, state = method.step(Z, prior, method.init(Z, prior), progress=0.0, rng=generator())
    _, later = method.step(Z, prior, state, progress=0.5, rng=generator(9))
    assert all(torch.equal(later.noise[i], state.noise[i]) for i in range(4))
    other = SegmentState({i: noise + 1 for i, noise in state.noise.items()})
    for low, alike in ((0.0, True), (0.1, False)):
        clean = SegmentDreamer(low, 0.6, 1)
        a, b = (clean.step(Z, prior, kept, progress=0.5, rng=generator(4))[0].grad for kept in (state, other))
        assert torch.allclose(a, b, rtol=0, atol=1e-12) is alike


def test_a_batch_is_its_items_alone_and_calls() -> None:
    check_batch(SegmentDreamer(), class_prior(), CONDITIONS)
    assert count_calls(SegmentDreamer()) == 4 * 4
    assert count_calls(SegmentDreamer(), conditions=CONDITIONS) == 4 * 5
    assert count_calls(SegmentDreamer(scale=1.0), conditions=CONDITIONS) == 4 * 4


def test_mistakes(unchecked: None) -> None:
    for options in ({"low": 0.6, "high": 0.5}, {"low": -0.1}, {"high": 1.2}):
        with pytest.raises(ValueError, match="SegmentDreamer needs 0 <= low < high <= 1, got") as error:
            SegmentDreamer(**options)
        one_line(error.value)
    with pytest.raises(ValueError, match="SegmentDreamer segments must be >= 1, got 0; try 5"):
        SegmentDreamer(segments=0)
    with pytest.raises(ValueError, match="SegmentDreamer needs the conditions positive, null"):
        step(SegmentDreamer(), class_prior(), Z, conditions=ms.Conditions(torch.tensor([0])))
    with pytest.raises(TypeError, match="SegmentDreamer guides by itself"):
        SegmentDreamer().init(Z, ms.Guided(class_prior()))
