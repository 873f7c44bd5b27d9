"""Perp-Neg: its algebra row by row, and the conditions of cameras between views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from cases import F64, SCHEDULES, class_mixture, error, full, generator, level, mixture, one_line, points, posteriors
from torch import Tensor

import modeseek as ms
from modeseek.camera_conditions.perp_neg_views import ExponentialDecay, PerpNegViews
from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.schedule import Schedule
from modeseek.priors.base import BasePrior
from modeseek.priors.guidance import find_guidance
from modeseek.priors.perp_neg import PerpNeg


@dataclass
class PointMass(BasePrior):
    """Prior whose condition is the point where all its mass lies; records the rows of every call."""

    schedule: Schedule = field(default_factory=ms.VP)
    shape: tuple[int, ...] = (3,)
    dtype: torch.dtype = F64
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    sizes: list[int] = field(default_factory=list)

    def at(self, z_t: Tensor, alpha: Tensor, sigma: Tensor, cond: Tensor | None = None) -> Prediction:
        self.sizes.append(len(z_t))
        where = torch.zeros_like(z_t) if cond is None else cond
        return Prediction.from_z(z_t, alpha, sigma, where.expand_as(z_t).clone())


def random_conditions(n: int, k: int = 2, d: int = 3, seed: int = 0) -> ms.Conditions:
    """Random points and weights for every row."""
    g = generator(seed)
    draw = [torch.randn(n, d, generator=g, dtype=F64) for _ in range(k + 1)]
    weights = [-2 * torch.rand(n, generator=g, dtype=F64) for _ in range(k)]
    null = torch.randn(1, d, generator=g, dtype=F64)
    return ms.Conditions(draw[0], null=null, opposed=tuple(zip(draw[1:], weights, strict=True)))


def rows(c: ms.Conditions, keep: list[int]) -> ms.Conditions:
    """Some rows of conditions."""
    opposed = tuple((cond[keep], w[keep]) for cond, w in c.opposed)
    return ms.Conditions(c.positive[keep], null=c.null, opposed=opposed)


def perpendicular(base: np.ndarray, plain: np.ndarray, away: list[np.ndarray], w: list[float], s: float) -> np.ndarray:
    """The paper's formula for one row, by an orthonormal basis of the plane's complement instead of a projection."""
    e = plain - base
    total = e.copy()
    for a, weight in zip(away, w, strict=True):
        basis = np.linalg.svd(e[None])[2][1:]  # spans what is perpendicular to e
        total = total + weight * basis.T @ (basis @ (a - base))
    return base + s * total


@pytest.mark.parametrize("walk", ["vp", "cosine", "flow", "ve", "discrete"])
def test_each_row_follows_the_formula_with_its_own_conditions(walk: str) -> None:
    schedule, n, s = SCHEDULES[walk], 5, 4.0
    times = [0.1, 0.3, 0.5, 0.7, 0.95]
    z_t, c = points(n, 3), random_conditions(n)
    p = PerpNeg(PointMass(schedule), s)(z_t, torch.tensor(times, dtype=F64), c)
    for i, t in enumerate(times):
        alpha, sigma = level(schedule, t)

        def eps(where: Tensor, i: int = i, alpha: float = alpha, sigma: float = sigma) -> np.ndarray:
            return ((z_t[i] - alpha * where) / sigma).numpy()

        away, w = [cond[i] for cond, _ in c.opposed], [float(x[i]) for _, x in c.opposed]
        want = perpendicular(eps(c.null[0]), eps(c.positive[i]), [eps(a) for a in away], w, s)
        np.testing.assert_allclose(p.eps[i].numpy(), want, rtol=1e-10, atol=1e-10 * np.abs(want).max())
        want = perpendicular(c.null[0].numpy(), c.positive[i].numpy(), [a.numpy() for a in away], w, s)
        np.testing.assert_allclose(p.z[i].numpy(), want, rtol=1e-12, atol=1e-12)
        # one world: z and eps still belong together
        assert torch.allclose(p.alpha[i] * p.z[i] + p.sigma[i] * p.eps[i], z_t[i], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("walk", ["vp", "flow"])
def test_on_a_mixture_with_classes(walk: str) -> None:
    schedule, n, s, w = SCHEDULES[walk], 4, 3.0, [-0.5, -2.0, 0.0, -1.0]
    z_t, times = points(n, 2), [0.2, 0.4, 0.6, 0.8]
    c = ms.Conditions(
        torch.tensor([1]), null=torch.tensor([-1]), opposed=((torch.tensor([0]), torch.tensor(w, dtype=F64)),)
    )
    p = PerpNeg(mixture("plane", schedule), s)(z_t, torch.tensor(times, dtype=F64), c)
    for i, t in enumerate(times):
        base, plain, away = (
            posteriors(class_mixture("plane", k), z_t[i : i + 1], *level(schedule, t)) for k in (-1, 1, 0)
        )
        for got, part in ((p.z, 0), (p.eps, 1)):
            b, y, a = (x[part][0].numpy() for x in (base, plain, away))
            assert error(got[i], torch.tensor(perpendicular(b, y, [a], [w[i]], s))) <= 1e-9


def test_what_is_added_to_guidance_is_perpendicular_to_it() -> None:
    z_t, t, c = points(6, 3), torch.linspace(0.1, 0.9, 6, dtype=F64), random_conditions(6)
    bare = PointMass()
    added = PerpNeg(bare, 5.0)(z_t, t, c).eps - ms.Guided(bare, 5.0)(z_t, t, c).eps
    e = bare(z_t, t, c.positive).eps - bare(z_t, t, c.null).eps
    assert (added.norm(dim=1) > 0.1).all()
    assert ((added * e).sum(1).abs() <= 1e-12 * added.norm(dim=1) * e.norm(dim=1)).all()


def test_without_weight_and_with_parallel_negatives_it_is_guidance() -> None:
    z_t, t, c, bare = points(4, 3), torch.linspace(0.1, 0.9, 4, dtype=F64), random_conditions(4), PointMass()
    zero = ms.Conditions(c.positive, null=c.null, opposed=tuple((cond, 0 * w) for cond, w in c.opposed))
    along = torch.tensor([0.4, -2.0, 1.0, 30.0], dtype=F64)[:, None]
    parallel = ((c.null + along * (c.positive - c.null), full(4, -1.5)),)
    for scale in (1.0, 5.0):
        want = ms.Guided(bare, scale)(z_t, t, c)
        for opposed in (zero.opposed, parallel, (), None):
            got = PerpNeg(bare, scale)(z_t, t, ms.Conditions(c.positive, null=c.null, opposed=opposed))
            assert error(got.z, want.z) <= 1e-12 and error(got.eps, want.eps) <= 1e-12
    # a negative condition is the baseline, as in Guided
    moved = ms.Conditions(c.positive, null=c.null, negative=c.null + 1)
    assert error(PerpNeg(bare, 3.0)(z_t, t, moved).eps, ms.Guided(bare, 3.0)(z_t, t, moved).eps) <= 1e-12


@pytest.mark.parametrize("dtype", [F64, torch.float32, torch.float16])
@pytest.mark.parametrize("gap", [0.0, 1e-7, 1e-3])
def test_a_positive_equal_to_the_baseline_gives_finite_predictions(dtype: torch.dtype, gap: float) -> None:
    z_t = points(3, 3).to(dtype)
    base = torch.ones(1, 3, dtype=dtype)
    c = ms.Conditions(base + gap, null=base, opposed=((2 * base * torch.tensor([1, -1, 1]).to(dtype), -base[:, 0]),))
    p = PerpNeg(PointMass(dtype=dtype), 3.0)(z_t, torch.tensor([0.1, 0.5, 0.9], dtype=dtype), c)
    assert p.z.dtype == dtype and p.z.isfinite().all() and p.eps.isfinite().all()
    if gap == 0:  # nothing is projected away: base + 3 * -1 * (negative - base)
        want = 1 - 3 * (torch.tensor([2.0, -2.0, 2.0]) - 1)
        assert torch.allclose(p.z, want.to(dtype).expand(3, 3), rtol=0, atol=0)


def test_a_batch_may_be_permuted_and_its_rows_evaluated_alone() -> None:
    n, order = 6, [4, 2, 0, 5, 1, 3]
    z_t, t, c = points(n, 2), torch.linspace(0.1, 0.9, n, dtype=F64), random_conditions(n)
    labels = ms.Conditions(
        torch.tensor([0, 1, 1, 0, 1, 0]),
        null=torch.tensor([-1]),
        opposed=tuple(
            (torch.tensor(x), w) for x, (_, w) in zip(([1, 0, 0, 1, 0, 1], [-1] * 6), c.opposed, strict=True)
        ),
    )
    prior = PerpNeg(mixture("plane"), 6.0)
    whole, moved = prior(z_t, t, labels), prior(z_t[order], t[order], rows(labels, order))
    assert error(moved.eps, whole.eps[order]) <= 1e-12 and error(moved.z, whole.z[order]) <= 1e-12
    for i in range(n):
        alone = prior(z_t[i : i + 1], t[i : i + 1], rows(labels, [i]))
        assert error(alone.eps[0], whole.eps[i]) <= 1e-12


def test_levels_without_signal_and_without_noise() -> None:
    z_t, c, bare = points(2, 3), random_conditions(2), PointMass()
    p = PerpNeg(bare, 2.0).at(z_t, torch.tensor([0.0, 1.0], dtype=F64), torch.tensor([1.0, 1e-9], dtype=F64), c)
    for i in range(2):
        away, w = [cond[i].numpy() for cond, _ in c.opposed], [float(x[i]) for _, x in c.opposed]
        want = perpendicular(c.null[0].numpy(), c.positive[i].numpy(), away, w, 2.0)
        np.testing.assert_allclose(p.z[i].numpy(), want, rtol=1e-9, atol=1e-9)


def test_calls_are_one_batch_and_idle_negatives_are_not_evaluated() -> None:
    bare, z_t, t, c = PointMass(), points(3, 3), full(3, 0.5), random_conditions(3)
    counted = ms.Counting(bare)
    PerpNeg(counted, 3.0)(z_t, t, c)
    assert counted.calls == 3 * 4 and bare.sizes == [12]
    counted.calls = 0
    PerpNeg(counted, 3.0)(z_t, t, ms.Conditions(c.positive, null=c.null, opposed=((c.positive, full(1, 0.0)),)))
    assert counted.calls == 3 * 2
    counted.calls = 0
    PerpNeg(counted, 1.0)(z_t, t, ms.Conditions(c.positive, null=c.null))
    assert counted.calls == 3


def test_methods_use_it_as_any_prior() -> None:
    bare, z = mixture("plane"), points(4, 2)
    c = ms.Conditions(
        torch.tensor([0, 1, 1, 0]),
        null=torch.tensor([-1]),
        opposed=((torch.tensor([1, 0, 0, 1]), torch.tensor([-1.0, -0.3, 0.0, -2.0], dtype=F64)),),
    )
    prior = PerpNeg(bare, 4.0)
    d, _ = ms.SDS().step(z, prior, None, conditions=c, progress=0.5, rng=generator())
    prediction = prior(d.prediction.z_t, d.t, c)
    assert error(d.grad, d.prediction.sigma[:, None] ** 2 * (prediction.eps - d.eps)) <= 1e-12
    # each of a row's samples is evaluated under the row's own negatives
    method = ms.MSD(ms.Fixed(0.7), "product", steps=2, samples=2)
    whole, _ = method.step(
        z, prior, method.init(z, prior), conditions=c, progress=0.5, rng=ms.Streams(1, 0, (0, 1, 2, 3))
    )
    for i in range(4):
        alone, _ = method.step(
            z[i : i + 1],
            prior,
            method.init(z, prior),
            conditions=rows(c, [i]),
            progress=0.5,
            rng=ms.Streams(1, 0, (i,)),
        )
        assert error(alone.grad[0], whole.grad[i]) <= 1e-12
    assert find_guidance(ms.Counting(prior)) is prior
    with pytest.raises(TypeError, match="SDI guides by itself: got a PerpNeg prior"):
        ms.SDI().init(z, prior)


def test_mistakes() -> None:
    z_t, t, c = points(2, 3), full(2, 0.5), random_conditions(2)
    with pytest.raises(TypeError, match="PerpNeg needs Conditions") as wrong:
        PerpNeg(PointMass())(z_t, t, c.positive)
    one_line(wrong.value)
    for weight in (0.1, math.nan):
        bad = ms.Conditions(c.positive, null=c.null, opposed=((c.positive, full(2, weight)),))
        with pytest.raises(ValueError, match="opposed weights must be <= 0, got") as wrong:
            PerpNeg(PointMass())(z_t, t, bad)
        one_line(wrong.value)
    with pytest.raises(ValueError, match="guidance needs a baseline"):
        PerpNeg(PointMass())(z_t, t, ms.Conditions(c.positive, opposed=c.opposed))


class Vectors:
    """Text prior whose embeddings are unit vectors: front, side, back, overhead, and zero."""

    def conditions(self, texts: Sequence[str], negative: Sequence[str] | None = None) -> ms.Conditions:
        def code(text: str) -> list[float]:
            prompt = 10.0 if "robot" in text else 1.0
            return [prompt * (word in text) for word in ("front", "side", "back", "overhead")]

        rows = torch.tensor([code(text) for text in texts], dtype=F64)
        masks = (rows > 0).long()
        null = {"text": torch.zeros(1, 4, dtype=F64), "mask": torch.ones(1, 4, dtype=torch.long)}
        return ms.Conditions({"text": rows, "mask": masks}, null=null, negative=None if negative is None else null)


def camera(azimuth: float) -> tuple[list[float], tuple[int, float], tuple[int, float]]:
    """Share of front, side and back; then each opposed side and its weight."""
    off = math.degrees(math.acos(max(-1.0, min(1.0, math.cos(math.radians(azimuth))))))
    if off < 90:
        r = 1 - off / 90
        return [r, 1 - r, 0], (0, -(4 * math.exp(-r / 2) - 2.426)), (1, -(4 * math.exp(-(1 - r) / 2) - 2.426))
    r = 2 - off / 90
    return [0, r, 1 - r], (1, -(math.exp(-r / 2) - 0.606)), (0, -(math.exp(-r / 2) + 0.967))


def test_cameras_between_views_mix_both_and_oppose_the_others() -> None:
    views = ms.ViewPrompts().encode(Vectors(), ["a dog", "a robot"], "blurry", perp_neg=PerpNegViews())
    azimuth = [0.0, 10.0, -30.0, 60.0, 89.0, 91.0, -135.0, 180.0, 725.0]
    item = torch.tensor([0, 1] * 5)[:9]
    conditions = views.at(torch.tensor(azimuth, dtype=F64), torch.zeros(9, dtype=F64), item)
    assert conditions.negative is not None and len(conditions.opposed) == 2
    for i, a in enumerate(azimuth):
        size, (shares, *opposed) = (1.0, 10.0)[int(item[i])], camera(a)
        assert torch.allclose(
            conditions.positive["text"][i], size * torch.tensor([*shares, 0], dtype=F64), rtol=0, atol=1e-12
        )
        assert conditions.positive["mask"][i].tolist()[:3] == [
            int(s > 0 or x > 0) for s, x in zip(shares, masks(a), strict=True)
        ]
        for (cond, weight), (side, want) in zip(conditions.opposed, opposed, strict=True):
            assert cond["text"][i].tolist() == [size * (k == side) for k in range(4)]
            assert float(weight[i]) == pytest.approx(want, abs=1e-12) and want <= 0


def masks(azimuth: float) -> list[int]:
    """Which of front, side and back are mixed."""
    return [1, 1, 0] if math.cos(math.radians(azimuth)) > 1e-9 else [0, 1, 1]


def test_the_way_round_has_no_jump_and_overhead_opposes_nothing() -> None:
    views = ms.ViewPrompts().encode(Vectors(), ["a dog"], perp_neg=PerpNegViews())
    near = torch.tensor([90 - 1e-9, 90 + 1e-9, 180 - 1e-9, -180 + 1e-9, -1e-9, 1e-9], dtype=F64)
    conditions = views.at(near, torch.zeros(6, dtype=F64))
    by_side = torch.zeros(6, 4, dtype=F64)
    for cond, weight in conditions.opposed:
        by_side += cond["text"] * weight[:, None]
    for x in (conditions.positive["text"], by_side):
        assert torch.allclose(x[::2], x[1::2], rtol=0, atol=1e-3)  # the published constants are rounded
    # at each view itself it is not opposed; at the front the side is, at the back both
    assert torch.allclose(by_side[4], torch.tensor([0, -1.574, 0, 0], dtype=F64), rtol=0, atol=1e-3)
    assert torch.allclose(by_side[2], torch.tensor([-1.967, -0.394, 0, 0], dtype=F64), rtol=0, atol=1e-3)
    above = views.at(torch.tensor([100.0], dtype=F64), torch.tensor([80.0], dtype=F64))
    assert above.positive["text"].tolist() == [[0, 0, 0, 1]]
    assert all((w == 0).all() for _, w in above.opposed)
    # a prior is evaluated under them as under any
    counted = ms.Counting(PointMass(shape=(4,)))
    plain = views.at(near, torch.zeros(6, dtype=F64))
    flat = ms.Conditions(
        plain.positive["text"], null=plain.null["text"], opposed=tuple((c["text"], w) for c, w in plain.opposed)
    )
    assert PerpNeg(counted, 3.0)(points(6, 4), full(6, 0.5), flat).z.isfinite().all()
    assert counted.calls == 6 * 4


def test_mistakes_about_views() -> None:
    with pytest.raises(ValueError, match="a Perp-Neg decay must be >= 0") as wrong:
        ExponentialDecay(1.0, 0.5, -0.7)
    one_line(wrong.value)
    labels = ms.Conditions(torch.arange(4))
    with pytest.raises(ValueError, match="got labels"):
        PerpNegViews().at(labels, torch.tensor([0]), torch.tensor([30.0]), torch.tensor([False]))
