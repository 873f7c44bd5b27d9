"""Control variates by quadrature: zero mean, best coefficient, variance reduction."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from cases import one_line
from cases_shift import SCHEDULES, gaussian, generator, prior_of, tensor, three_gaussians
from oracles_shift import F64, level
from torch import Tensor

import modeseek as ms
from modeseek.diffusion.prediction import Prediction
from modeseek.methods.base import Direction
from modeseek.methods.control_variate import ControlVariate
from modeseek.methods.stein import Stein, SteinDreamer, constant_baseline

MEAN, VARIANCE = 1.5, 0.49
CURVE = torch.tensor([[0.8, 0.3], [0.3, -0.5]], dtype=F64)
SLOPE = torch.tensor([0.7, -1.1], dtype=F64)


@dataclass(frozen=True)
class PerRow:
    """A separate time for each row."""

    t: tuple[float, ...]

    def __call__(self, progress: float, n: int, rng: ms.Rng) -> Tensor:
        return torch.tensor(self.t, dtype=F64)


def quadratic(z_t: Tensor, context: object) -> Tensor:
    return 0.5 * ((z_t @ CURVE) * z_t).sum(1) + z_t @ SLOPE + 0.4


def wavy(z_t: Tensor, context: object) -> Tensor:
    return torch.sin(z_t.flatten(1).sum(1)) + z_t.flatten(1)[:, 0].square()


def linear(z_t: Tensor, context: object) -> Tensor:
    return 0.6 * z_t[:, 0]


def nodes(d: int, n: int = 40) -> tuple[Tensor, Tensor]:
    """Points and weights of E over N(0, I_d)."""
    x, w = np.polynomial.hermite_e.hermegauss(n)
    w = w / w.sum()
    grid = np.array(list(itertools.product(x, repeat=d)))
    return torch.tensor(grid), torch.tensor(np.prod(list(itertools.product(w, repeat=d)), 1))


def noised_direction(z: Tensor, n: Tensor, alpha: float, sigma: float, grad: Tensor | None = None) -> Direction:
    """A direction that came from this noise."""
    z_t = alpha * z + sigma * n
    a, s = (torch.full((len(z),), x, dtype=F64) for x in (alpha, sigma))
    p = Prediction.from_z_and_eps(z_t, a, s, torch.zeros_like(z_t), torch.zeros_like(z_t))
    return Direction(z_t if grad is None else grad, eps=n, prediction=p)


@pytest.mark.parametrize("phi", [quadratic, wavy, constant_baseline])
@pytest.mark.parametrize(("schedule", "t"), [("VP", 0.1), ("VP", 0.8), ("Cosine", 0.5), ("Flow", 0.3), ("VE", 0.4)])
def test_steins_variate_has_no_mean(phi, schedule: str, t: float) -> None:
    alpha, sigma = level(schedule, t)
    n, w = nodes(2)
    z = tensor([0.4, -0.9]).expand(len(n), 2)
    v = Stein(phi, ms.sigma_squared)(z, noised_direction(z, n, alpha, sigma), None)
    assert float((w @ v).norm()) <= 1e-10 * float(w @ v.norm(dim=1))
    assert float(w @ v.square().sum(1)) > 1e-6 * sigma**4


def test_steins_variate_is_the_formula_row_by_row() -> None:
    z, n = torch.randn(2, 4, 2, generator=generator(), dtype=F64)
    alpha, sigma = tensor(0.9, 0.6, 1.0, 0.2), tensor(0.3, 0.8, 2.0, 0.9)
    z_t = alpha[:, None] * z + sigma[:, None] * n
    p = Prediction.from_z_and_eps(z_t, alpha, sigma, z_t, z_t)
    got = Stein(quadratic, ms.sigma_squared)(z, Direction(z_t, eps=n, prediction=p), None)
    for i in range(4):
        phi = 0.5 * z_t[i] @ CURVE @ z_t[i] + z_t[i] @ SLOPE + 0.4
        want = sigma[i] ** 2 * (n[i] * phi - sigma[i] * (CURVE @ z_t[i] + SLOPE))
        assert torch.allclose(got[i], want, rtol=1e-12, atol=1e-12)


def line(schedule: str = "VP") -> ms.GaussianMixture:
    """N(1.5, 0.49)."""
    return prior_of(gaussian([MEAN], [[VARIANCE]]), SCHEDULES[schedule])


def eps_hat(z_t: Tensor, alpha: float, sigma: float) -> Tensor:
    """Predicted noise of the one-dimensional Gaussian."""
    return sigma * (z_t - alpha * MEAN) / (alpha**2 * VARIANCE + sigma**2)


def moments(z: float, alpha: float, sigma: float) -> tuple[float, float, float, float, Tensor, Tensor, Tensor]:
    """E g, var g, E gv, E v^2; g = s^2 eps and v = s^2 (n phi - s phi') of phi = 0.6 z_t at the nodes; weights."""
    n, w = nodes(1, 60)
    n = n[:, 0]
    z_t = alpha * z + sigma * n
    g, v = sigma**2 * eps_hat(z_t, alpha, sigma), sigma**2 * (n * 0.6 * z_t - sigma * 0.6)
    mean = float(w @ g)
    return mean, float(w @ (g - mean) ** 2), float(w @ (g * v)), float(w @ (v * v)), g, v, w


def run(method, z: Tensor, prior, steps: int, seed: int = 0) -> tuple[list[Direction], object]:
    """Directions of a method at a z that stays."""
    state, found, rng = method.init(z, prior), [], generator(seed)
    for _ in range(steps):
        d, state = method.step(z, prior, state, progress=0.5, rng=rng)
        found.append(d)
    return found, state


LEVELS = [("VP", (0.05, 0.2, 0.5, 0.9)), ("Flow", (0.1, 0.3, 0.6, 0.9))]


ROWS, STEPS = 250, 120


def directions_at(schedule: str, times: tuple[float, ...], **options) -> tuple[list[Direction], Tensor, Tensor, Tensor]:
    """Steps of `ROWS` rows at each level: the directions, and grad, cross and square as (..., levels, rows)."""
    z = tensor([0.4], [-0.6], [3.0], [1.5]).repeat_interleave(ROWS, 0)
    method = SteinDreamer(
        times=PerRow(tuple(t for t in times for _ in range(ROWS))), memory=math.inf, bins=1, **options
    )
    found, state = run(method, z, line(schedule), STEPS)
    grads = torch.stack([d.grad[:, 0] for d in found]).reshape(STEPS, 4, ROWS)
    return found, grads, state.cross.reshape(4, ROWS), state.square.reshape(4, ROWS)


@pytest.mark.parametrize(("schedule", "times"), LEVELS)
def test_the_coefficient_goes_to_the_best_and_the_variance_falls_as_it_should(schedule: str, times) -> None:
    found, grads, crosses, squares = directions_at(schedule, times, baseline=linear, initial=0.0)
    for i, t in enumerate(times):
        mean, variance, cross, square, g, v, w = moments((0.4, -0.6, 3.0, 1.5)[i], *level(schedule, t))
        best, left = -cross / square, variance - cross**2 / square
        assert left < 0.99 * variance
        # a ratio of moments has the standard error of ((g - mean) v + best v^2) over E v^2
        spread = math.sqrt(float(w @ ((g - mean) * v + best * v * v) ** 2) / STEPS) / square
        assert abs(-float(crosses[i].sum() / squares[i].sum()) - best) <= 4 * spread / math.sqrt(ROWS)
        mu = found[-1].logs["mu"].reshape(4, ROWS)[i]
        assert float((mu - best).square().mean().sqrt()) <= 1.3 * spread
        # unbiased all along; at last of the least variance, but for what the coefficients still miss
        late = grads[STEPS // 2 :, i].flatten()
        fourth = float(w @ (g + best * v - mean) ** 4)
        extra = 2 * spread**2 * square
        assert abs(float(late.mean()) - mean) <= 4 * math.sqrt((left + extra) / len(late))
        assert abs(float(late.var()) - left) <= 4 * math.sqrt((fourth - left**2) / len(late)) + 3 * extra
        if variance - left > 0.2 * variance:
            assert float(late.var()) < variance - 0.5 * (variance - left)
        # what is reported is what was removed: from the eleventh step on, cross^2 / square a step
        reported, share = (found[-1].logs[k].reshape(4, ROWS)[i].mean() for k in ("variance_removed", "share_removed"))
        want = cross**2 / square * (STEPS - 10) / STEPS
        error = math.sqrt(float(w @ (g**2 - (g + best * v) ** 2 - cross**2 / square) ** 2) / (ROWS * STEPS))
        assert abs(float(reported) - want) <= 4 * error + 4 * extra
        assert float(share) == pytest.approx(float(reported) / (mean**2 + variance), rel=0.1, abs=0.01)


@pytest.mark.parametrize(("schedule", "times"), LEVELS)
def test_with_a_constant_baseline_a_gaussian_leaves_no_variance(schedule: str, times) -> None:
    found, grads, crosses, squares = directions_at(schedule, times)
    for i, t in enumerate(times):
        alpha, sigma = level(schedule, t)
        k, away = sigma / (alpha**2 * VARIANCE + sigma**2), (0.4, -0.6, 3.0, 1.5)[i] - MEAN
        # eps is affine in the noise: known from two steps on, whatever the mean
        mu = -(crosses[i] / squares[i])
        assert float((mu - k * sigma).abs().max()) <= 1e-10
        late = grads[10:, i] - sigma**2 * k * alpha * away
        assert float(late.abs().max()) <= 1e-9
        early = grads[:10, i]
        assert float(early.var()) == pytest.approx(sigma**4 * (1 - k * sigma) ** 2, rel=0.12)
    # the first step is SDS itself
    sds, _ = ms.SDS(PerRow(tuple(t for t in times for _ in range(ROWS)))).step(
        tensor([0.4], [-0.6], [3.0], [1.5]).repeat_interleave(ROWS, 0),
        line(schedule),
        None,
        progress=0.5,
        rng=generator(),
    )
    assert torch.allclose(found[0].grad, sds.grad, rtol=0, atol=1e-13)


def test_the_coefficient_has_not_seen_the_noise_that_it_multiplies() -> None:
    """Two steps of memory only: a coefficient that saw the third step's own noise would bend its mean."""
    n, t = 40_000, 0.3
    alpha, sigma = level("VP", t)
    mean, variance, cross, square, *_ = moments(0.4, alpha, sigma)
    z = torch.full((n, 1), 0.4, dtype=F64)
    found, _ = run(SteinDreamer(linear, PerRow((t,) * n), initial=0.0, memory=2.0, warm=2, bins=1), z, line(), 3)
    assert abs(float(found[0].grad.mean()) - mean) <= 4 * math.sqrt(variance / n)
    third = found[2].grad[:, 0]
    keep = found[2].logs["mu"].abs() < 5  # independent of the third step's noise, as all of the coefficient is
    assert keep.double().mean() > 0.8
    assert abs(float(third[keep].mean()) - mean) <= 4 * float(third[keep].std()) / math.sqrt(float(keep.sum()))
    assert float(third.std()) > 0.1 * math.sqrt(variance)


@pytest.mark.parametrize("per", ["sample", "element"])
def test_the_coefficient_is_known_before_the_noise_is_drawn(per: str) -> None:
    z, prior = torch.randn(3, 2, generator=generator(1), dtype=F64), prior_of(three_gaussians())
    method = SteinDreamer(wavy, PerRow((0.2, 0.5, 0.8)), per=per)
    _, state = run(method, z, prior, 20)
    (one, _), (other, _) = (method.step(z, prior, state, progress=0.5, rng=generator(seed)) for seed in (7, 8))
    assert not torch.equal(one.grad, other.grad) and torch.equal(one.logs["mu"], other.logs["mu"])
    # and it is the one of the state: the covariance over the variance, in each row's bin
    bins = [2, 5, 8]
    assert state.visits[range(3), bins].tolist() == [20, 20, 20]
    best = -(state.cross / state.square)[range(3), bins]
    assert torch.allclose(one.logs["mu"], best if per == "sample" else best.mean(1), rtol=1e-12, atol=0)


def test_per_element_each_has_the_least_variance() -> None:
    """Two axes of a Gaussian with different variances: each its own coefficient, which one for both cannot match."""
    prior, z, t = prior_of(gaussian([0.0, 0.0], [[4.0, 0.0], [0.0, 0.01]])), tensor([1.0, 1.0]), 0.4
    alpha, sigma = level("VP", t)
    best = [sigma**2 / (alpha**2 * v + sigma**2) for v in (4.0, 0.01)]
    left = []
    for per in ("element", "sample"):
        method = SteinDreamer(times=PerRow((t,)), memory=math.inf, bins=1, per=per)
        found, state = run(method, z, prior, 400)
        left.append(float(torch.stack([d.grad[0] for d in found[200:]]).var(0).sum()))
        mu = (-state.cross / state.square)[0, 0]
        if per == "element":
            assert torch.allclose(mu, torch.tensor(best, dtype=F64), rtol=0, atol=0.1)
            assert float(found[-1].logs["mu"][0]) == pytest.approx(float(mu.mean()), abs=1e-3)
        else:
            assert float(mu) == pytest.approx(sum(best) / 2, abs=0.1)
    assert left[0] <= 0.02 * left[1]


def test_levels_have_coefficients_of_their_own() -> None:
    times = (0.05, 0.95)

    @dataclass(frozen=True)
    class Turns:
        def __call__(self, progress: float, n: int, rng: ms.Rng) -> Tensor:
            return torch.full((n,), times[round(progress)], dtype=F64)

    method, prior, z = SteinDreamer(times=Turns(), memory=math.inf, bins=4), line(), tensor([MEAN])
    state, rng = method.init(z, prior), generator()
    for i in range(60):
        d, state = method.step(z, prior, state, progress=float(i % 2), rng=rng)
        if i >= 20:  # at its mean eps is proportional to the noise: the best coefficient is exact at once
            alpha, sigma = level("VP", times[i % 2])
            best = sigma**2 / (alpha**2 * VARIANCE + sigma**2)
            assert float(d.logs["mu"][0]) == pytest.approx(best, abs=1e-9)
            assert d.grad.abs().max() <= 1e-12
    assert state.visits.tolist() == [[30, 0, 0, 30]]


def test_what_is_logged_is_what_was_applied() -> None:
    z, prior = torch.randn(3, 2, generator=generator(1), dtype=F64), prior_of(three_gaussians())
    with_it, _ = run(SteinDreamer(quadratic, PerRow((0.2, 0.5, 0.8)), initial=0.1, bins=1), z, prior, 30)
    raw = [d.prediction.sigma[:, None] ** 2 * d.prediction.eps for d in with_it]
    before = torch.stack([g.square().sum(1) for g in raw]).mean(0)
    after = torch.stack([d.grad.square().sum(1) for d in with_it]).mean(0)
    assert torch.allclose(with_it[-1].logs["variance_removed"], before - after, rtol=1e-10, atol=1e-12)
    assert torch.allclose(with_it[-1].logs["share_removed"], (before - after) / before, rtol=1e-10, atol=1e-12)
    assert all(torch.equal(d.logs["mu"], torch.full((3,), 0.1, dtype=F64)) for d in with_it[:10])
    for d, g in zip(with_it, raw, strict=True):
        v = Stein(quadratic)(z, d, None)
        assert torch.allclose(d.grad, g + d.logs["mu"][:, None] * v, rtol=0, atol=1e-12)


def test_a_variate_of_ones_own_takes_the_noise_off_any_method() -> None:
    """SDS subtracts the noise; adding it back in the learned share gives what the constant baseline gives."""

    def noise(z: Tensor, direction: Direction, context: object) -> Tensor:
        return direction.prediction.sigma[:, None] ** 2 * direction.eps

    z, prior, t = tensor([0.4], [3.0]), line(), (0.2, 0.6)
    found, _ = run(ControlVariate(ms.SDS(PerRow(t)), noise, memory=math.inf), z, prior, 60)
    other, _ = run(SteinDreamer(times=PerRow(t), memory=math.inf, bins=1), z, prior, 60)
    assert torch.allclose(found[-1].logs["mu"], 1 - other[-1].logs["mu"], rtol=0, atol=1e-10)
    assert torch.allclose(found[-1].grad, other[-1].grad, rtol=0, atol=1e-10)


def test_a_batch_is_its_items_alone_step_after_step() -> None:
    z, prior = torch.randn(4, 2, generator=generator(1), dtype=F64), prior_of(three_gaussians(), labels=[0, 0, 1])
    labels, null = torch.tensor([0, 1, 1, 0]), torch.tensor([-1])
    guided, method = ms.Guided(prior, 3.0), SteinDreamer(wavy, bins=3, warm=2)

    def steps(rows: list[int]) -> list[Direction]:
        state, found, streams = method.init(z[rows], guided), [], ms.Streams(5, 0, tuple(rows))
        for i in range(12):
            d, state = method.step(
                z[rows],
                guided,
                state,
                conditions=ms.Conditions(labels[rows], null=null),
                progress=0.0,
                rng=streams.at(i),
            )
            found.append(d)
        return found

    whole = steps([0, 1, 2, 3])
    for i in range(4):
        for alone, batched in zip(steps([i]), whole, strict=True):
            assert torch.equal(alone.eps[0], batched.eps[i]) and torch.equal(alone.t[0], batched.t[i])
            assert torch.allclose(alone.grad[0], batched.grad[i], rtol=0, atol=1e-12)
    counted = ms.Counting(prior)
    method.step(z, counted, method.init(z, counted), progress=0.0, rng=generator())
    assert counted.calls == 4


def test_mistakes(unchecked: None) -> None:
    z, prior = tensor([0.4], [3.0]), line()
    for wrong in ({"bins": 0}, {"warm": 1}, {"memory": 1.5}, {"memory": math.nan}):
        with pytest.raises(ValueError, match="ControlVariate needs bins >= 1, warm and memory >= 2, got") as error:
            SteinDreamer(**wrong)
        one_line(error.value)
    with pytest.raises(ValueError, match="per must be 'sample' or 'element'"):
        SteinDreamer(per="pixel")
    method = SteinDreamer()
    with pytest.raises(ValueError, match="z must have the 2 rows .*, got 1"):
        method.step(z[:1], prior, method.init(z, prior), progress=0.0, rng=generator())
    total = SteinDreamer(lambda z_t, context: z_t.sum())
    with pytest.raises(ValueError, match=r"baseline must return one number per row"):
        total.step(z, prior, total.init(z, prior), progress=0.0, rng=generator())
    still = ControlVariate(ms.MSD(ms.Fixed(0.5)), Stein(linear))
    with pytest.raises(ValueError, match="needs a direction with eps and prediction"):
        still.step(z, prior, still.init(z, prior), progress=0.0, rng=generator())
    half = ControlVariate(ms.MSD(ms.Fixed(0.5), jitter=0.5), Stein(linear))
    with pytest.raises(ValueError, match="needs a prediction at alpha z"):
        half.step(z, prior, half.init(z, prior), progress=0.0, rng=generator())
    timeless = ControlVariate(ms.MSD(ms.Fixed(0.5), jitter=1.0), Stein(linear), bins=2)
    with pytest.raises(ValueError, match="bins > 1 needs a method that returns t, got MSD"):
        timeless.step(z, prior, timeless.init(z, prior), progress=0.0, rng=generator())
