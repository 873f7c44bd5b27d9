"""Every method on every exact prior."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from cases_shift import SCHEDULES, components, generator, prior_of, sample_mixture, tensor, three_gaussians
from every_method import CONDITIONED_ONLY, METHODS, NEGATIVE
from oracles_shift import F64, kernel_sums, log_density, posterior

import modeseek as ms
from modeseek.methods.base import has_target
from modeseek.priors.base import select_conditions

LABELS = torch.tensor([0, 0, 1])


def images(n: int, seed: int = 0) -> torch.Tensor:
    """Random images of one channel."""
    return torch.randn(n, 1, 3, 3, dtype=F64, generator=generator(seed))


PRIORS = {
    "mixture": lambda schedule: prior_of(three_gaussians(), schedule, LABELS.tolist()),
    "points": lambda schedule: ms.Empirical(sample_mixture(three_gaussians(), 60), schedule, torch.arange(60) % 2),
    "images": lambda schedule: ms.Empirical(images(20), schedule, torch.arange(20) % 2),
}


def conditions(positive: list[int], name: str) -> ms.Conditions:
    """Conditions of this method: only the parts it uses, since a negative condition changes the guidance baseline."""
    more = {}
    if name in NEGATIVE:
        more["negative"] = torch.tensor([1])
    if name in CONDITIONED_ONLY:
        more["source"] = torch.tensor([1 - k for k in positive])
    return ms.Conditions(torch.tensor(positive), null=torch.tensor([-1]), **more)


def guides_itself(method: ms.Method, z: torch.Tensor, prior: ms.Prior) -> bool:
    """Whether it refuses a prior that is guided already."""
    try:
        method.init(z, ms.Guided(prior, 3.0))
        given = conditions([0] * len(z), "csd negative")
        method.step(z, ms.Guided(prior, 3.0), method.init(z, prior), conditions=given, progress=0.3, rng=generator())
    except TypeError as refused:
        assert "by itself" in str(refused)
        return True
    return False


@dataclass(frozen=True)
class Case:
    """A method on a prior, with and without conditions and guidance."""

    method: ms.Method
    prior: ms.Prior
    z: torch.Tensor
    conditions: ms.Conditions | None

    def direction(self, rows: list[int], rng: ms.Rng) -> ms.Direction:
        """The direction of some of the rows."""
        z, selected = self.z[rows], self.conditions
        if selected is not None:
            selected = select_conditions(selected, torch.tensor(rows))
        state = self.method.init(z, self.prior)
        return self.method.step(z, self.prior, state, conditions=selected, progress=0.3, rng=rng)[0]


@pytest.fixture(params=["bare", "conditional", "guided"])
def guidance(request):
    """Whether the prior is unconditional, conditional or guided."""
    return request.param


# A method meets every prior, each on another schedule; over four methods each schedule meets every prior.
ROWS = [
    pytest.param((name, prior, schedule), id=f"{name}-{prior} {schedule}")
    for k, name in enumerate(METHODS)
    for i, prior in enumerate(PRIORS)
    for j, schedule in enumerate(SCHEDULES)
    if j == (i + k) % len(SCHEDULES)
]


@pytest.fixture(params=ROWS)
def case(request, guidance):
    """A method, a class-conditional prior on its schedule, and guidance."""
    name, source, schedule = request.param
    method, prior = METHODS[name], PRIORS[source](SCHEDULES[schedule])
    z = images(4, 1) if len(prior.shape) == 3 else sample_mixture(three_gaussians(), 4, seed=1) + 0.2
    if isinstance(method, ms.methods.IRFDS):
        method = ms.methods.IRFDS(torch.zeros_like(z[:1]))
    given = None if guidance == "bare" and name not in CONDITIONED_ONLY else conditions([0, 1, 1, 0], name)
    if guidance == "guided" and not guides_itself(method, z, prior):
        prior = ms.Guided(prior, 3.0)
    return Case(method, prior, z, given)


@pytest.mark.slow
def test_every_method_on_every_prior(case):
    every = [0, 1, 2, 3]
    answer = case.direction(every, ms.Streams(3, 1, (0, 1, 2, 3)))
    # finite, of the right shape, free of any graph
    assert answer.grad.shape == case.z.shape and answer.grad.dtype == F64
    assert answer.grad.isfinite().all() and not answer.grad.requires_grad and (answer.grad != 0).any()
    # the same generator, the same answer
    once, twice = (case.direction(every, generator(5)).grad for _ in range(2))
    assert torch.equal(once, twice)
    # rows may be reordered
    order = [2, 0, 3, 1]
    moved = case.direction(order, ms.Streams(3, 1, tuple(order))).grad
    scale = answer.grad.abs().max().clamp(min=1)
    assert torch.allclose(moved, answer.grad[order], rtol=0, atol=1e-12 * float(scale))
    # two of four items draw and go what they do alone
    for i in (1, 3):
        alone = case.direction([i], ms.Streams(3, 1, (i,)))
        assert torch.allclose(alone.grad[0], answer.grad[i], rtol=0, atol=1e-12 * float(scale))
        for name in ("eps", "t"):
            part, whole = getattr(alone, name), getattr(answer, name)
            assert (part is None) is (whole is None)
            drawn = not isinstance(case.method, ms.methods.UCM)  # its noise is computed: equal but for rounding
            close = torch.equal if drawn else torch.allclose
            assert part is None or close(part[0], whole[i])


def test_translating_the_world_translates_nothing_of_the_direction():
    """The mean-shift direction sees only differences (a prior that shrinks towards zero would not)."""
    offset = tensor([3.0, -2.0])
    shifted_prior = ms.GaussianMixture(
        three_gaussians().weights, three_gaussians().means + offset, three_gaussians().covs.clone(), ms.VE()
    )
    prior = prior_of(three_gaussians(), ms.VE())
    z = sample_mixture(three_gaussians(), 4, seed=1)
    for name in ("msd denoiser", "msd product", "sds"):  # the paper's walk starts about the origin: not it
        method = METHODS[name]
        one, _ = method.step(z, prior, method.init(z, prior), progress=0.0, rng=generator())
        other, _ = method.step(z + offset, shifted_prior, method.init(z, shifted_prior), progress=0.0, rng=generator())
        assert torch.allclose(one.grad, other.grad, rtol=1e-9, atol=1e-9)


def test_the_schedule_of_the_prior_is_nothing_to_msd():
    z = sample_mixture(three_gaussians(), 4, seed=1)
    for name in ("msd denoiser", "msd denoiser jittered", "msd product"):
        method = METHODS[name]
        grads = []
        for schedule in SCHEDULES.values():
            prior = prior_of(three_gaussians(), schedule)
            grads.append(method.step(z, prior, method.init(z, prior), progress=0.0, rng=generator())[0].grad)
        for grad in grads[1:]:
            assert torch.allclose(grad, grads[0], rtol=0, atol=1e-11)


ESTIMATORS = {
    "denoiser": ms.MSD(ms.Fixed(0.5)),
    "product": ms.MSD(ms.Fixed(0.5), "product", steps=16, samples=64, noise="antithetic"),
    "kernel-score": ms.MSD(ms.Fixed(0.5), "kernel-score", steps=30, samples=8),
}


@pytest.mark.parametrize("method", ESTIMATORS.values(), ids=ESTIMATORS)
@pytest.mark.parametrize("source", ["mixture", "points"])
def test_following_msd_raises_log_p_h(source, method):
    h, data = 0.5, sample_mixture(three_gaussians(), 300)
    prior = prior_of(three_gaussians(), ms.VE()) if source == "mixture" else ms.Empirical(data, ms.VE())

    def value(z: torch.Tensor) -> torch.Tensor:
        return log_density(three_gaussians(), z, h) if source == "mixture" else kernel_sums(data, z, h)[1]

    z = 1.5 * sample_mixture(three_gaussians(), 40, seed=2)
    direction, _ = method.step(z, prior, method.init(z, prior), progress=0.0, rng=generator())
    gain = value(z - direction.grad) - value(z)
    exact = posterior(three_gaussians(), z, h)[0] if source == "mixture" else kernel_sums(data, z, h)[0]
    if method.estimator == "denoiser":  # an EM step: at least |shift|^2 / (2 h^2)
        assert (gain >= (exact - z).square().sum(1) / (2 * h**2) - 1e-9).all()
    else:  # where the shift is large compared with the noise, and, in the paper's sampler, mostly from bias
        clear = (exact - z).norm(dim=1) > 0.8 * h
        assert clear.sum() >= 20
        assert (gain[clear] > 0).double().mean() >= (1.0 if method.estimator == "product" else 0.9)
        assert gain.mean() > 0


@pytest.mark.parametrize("label", [0, 1])
def test_conditions_change_where_msd_goes(label):
    prior = prior_of(three_gaussians(), labels=LABELS.tolist())
    z = sample_mixture(three_gaussians(), 4, seed=1)
    given = ms.Conditions(torch.tensor([label]))
    part = components(three_gaussians(), [0, 1] if label == 0 else [2])
    method = METHODS["msd denoiser"]
    direction, _ = method.step(z, prior, method.init(z, prior), conditions=given, progress=0.0, rng=generator())
    assert torch.allclose(z - direction.grad, posterior(part, z, 0.7)[0], rtol=0, atol=1e-11)


# Prior calls per row, unconditional and conditional (under guidance for methods that take a guided prior).
CALLS = {
    "msd denoiser": (1, 2),
    "msd denoiser jittered": (1, 2),
    "msd product": (2 * (2 * 2 - 1), 4 * (2 * 2 - 1)),
    "msd product antithetic": (2 * (2 * 2 - 1), 4 * (2 * 2 - 1)),
    "msd kernel-score": (2 * 3, 4 * 3),
    "sds": (1, 2),
    "sds annealed": (1, 2),
    "sds dreaming": (1, 2),
    "sdi": (3, 6),
    "sdi ancestral": (3, 6),
    "pfd": (4, 8),
    "pfd heun": (7, 14),
    "sjc": (1, 2),
    "sjc plain": (2, 4),
    "hifa": (1, 2),
    "hifa steps": (3, 6),
    "async-sd": (2, 3),
    "csd": (None, 2),
    "csd negative": (None, 3),
    "nfsd": (None, 3),
    "sds-bridge": (None, 2),
    "sds-bridge first": (None, 2),
    "ism": (5, 6),
    "segment-dreamer": (4, 5),
    "rfds": (1, 2),
    "irfds": (1, 2),
    "rfds-rev": (2, 3),
    "ucm": (4, 5),
    "ucm midpoint": (7, 8),
    "debiased": (1, 2),
    "reward-sds": (4 * (1 + 2 + 8), 4 * (2 + 4 + 8)),
    "reward-sds softmax": (2 * (1 + 1 + 8), 2 * (2 + 2 + 8)),
    "stein": (1, 2),
    "stein quadratic": (1, 2),
    "control variate": (1, 2),
    "mvdream": (1, 2),
    "jsd": (1, 2),
    "jsd jacobian": (1, 2),
    "vsd": (1, 2),
    "vpsd": (1, 2),
    "esd": (1, 2),
    "asd": (2, 3),
    "dsd": (5, 9),
    "rsd": (1, 2),
    "cfd": (1, 2),
    "fsd": (1, 2),
    "dds": (None, 4),
    "pds": (None, 4),
    "cds": (None, 6),
    "cds uncut": (None, 4),
    "dvrf": (None, 4),
    "dvrf unshifted": (None, 3),
    "pds official": (None, 4),
}


@pytest.mark.parametrize("name", METHODS)
def test_calls_per_row(name):
    method, counted = METHODS[name], ms.Counting(prior_of(three_gaussians(), labels=LABELS.tolist()))
    z, (unconditional, conditional) = sample_mixture(three_gaussians(), 3, seed=1), CALLS[name]
    itself = guides_itself(method, z, counted)
    for expected, given in ((unconditional, None), (conditional, conditions([1, 1, 1], name))):
        if expected is None:
            with pytest.raises(ValueError, match="needs the conditions"):
                method.step(z, counted, method.init(z, counted), progress=0.3, rng=generator())
            continue
        counted.calls = 0
        prior = counted if itself or given is None else ms.Guided(counted, 3.0)
        method.step(z, prior, method.init(z, prior), conditions=given, progress=0.3, rng=generator())
        assert counted.calls == 3 * expected


def test_every_method_of_the_roster_is_here():
    assert set(ms.methods.METHODS.values()) <= {type(method) for method in METHODS.values()}


WITH_TARGET = {
    "msd",
    "sds",
    "sdi",
    "pfd",
    "ism",
    "vsd",
    "vpsd",
    "esd",
    "asd",
    "debiased",
    "control variate",
    "reward-sds",
}
"""First words of the names of methods whose directions are `w (z - target)`."""


@pytest.mark.parametrize("name", METHODS)
def test_inner_steps_go_to_a_target_or_are_refused_before_the_first_update(name):
    method, z = METHODS[name], sample_mixture(three_gaussians(), 3, seed=1)
    counted, points = ms.Counting(prior_of(three_gaussians(), labels=LABELS.tolist())), ms.Points(z)
    given = conditions([1, 1, 1], name) if name in CONDITIONED_ONLY else None
    optimizer = torch.optim.SGD(points.parameters(), lr=0.5)
    options = {"steps": 2, "conditions": given, "rng": ms.Streams(1)}
    promised = any(name == known or name.startswith(f"{known} ") for known in WITH_TARGET)
    assert has_target(method) is promised
    if not promised:
        state = method.init(z, counted)
        direction, _ = method.step(z, counted, state, conditions=given, progress=0.0, rng=generator())
        assert direction.weight is None
        counted.calls = 0
        with pytest.raises(ValueError, match=rf"inner_steps must be 1 for {type(method).__name__}, whose"):
            next(ms.distill(points, counted, method, optimizer, inner_steps=3, **options))
        assert counted.calls == 0 and torch.equal(points.z, z)
        return
    first, second = ms.distill(points, counted, method, optimizer, inner_steps=3, **options)
    calls, counted.calls = counted.calls, 0
    plain = ms.Points(z)
    list(ms.distill(plain, counted, method, torch.optim.SGD(plain.parameters(), lr=0.5), **options))
    assert calls == counted.calls  # inner steps cost none
    w = first.direction.weight[:, None]
    target = z - first.direction.grad / w
    assert (w > 0).all() and torch.allclose(second.z, target + (1 - 0.5 * w) ** 3 * (z - target), rtol=0, atol=1e-10)
