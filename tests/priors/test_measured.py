"""Measured priors against the exact posterior of a Gaussian mixture: objective, modes, certificates, rows, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from measurement_oracle import MixturePosterior, objective
from torch import Tensor

import modeseek as ms
from modeseek.methods import CSD
from modeseek.operators import LeastSquares, Matrix
from modeseek.priors import Constrained

D, E = 5, 2


def mixture(seed: int, d: int = D, k: int = 4) -> ms.GaussianMixture:
    g = torch.Generator().manual_seed(seed)
    roots = torch.randn(k, d, d, generator=g, dtype=torch.float64) * 0.3
    covs = roots @ roots.mT + 0.05 * torch.eye(d, dtype=torch.float64)
    weights = torch.rand(k, generator=g, dtype=torch.float64) + 0.2
    return ms.GaussianMixture(weights / weights.sum(), torch.randn(k, d, generator=g, dtype=torch.float64), covs)


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def oracle(prior: ms.GaussianMixture, h: float, matrix: Tensor, y: Tensor, s: float) -> MixturePosterior:
    parts = (prior.weights, prior.means, prior.covs)
    return MixturePosterior.of(*(part.numpy() for part in parts), h, matrix.numpy(), y.numpy(), s)


def test_the_objective_never_falls_in_a_thousand_random_cases() -> None:
    worst, rises, rows = 0.0, 0, 25
    for case in range(40):
        prior, matrix = mixture(case), draw(100 + case, E, D)
        g = torch.Generator().manual_seed(200 + case)
        h = 0.05 * 30 ** torch.rand(rows, generator=g, dtype=torch.float64)
        s = 0.02 * 50 ** torch.rand(rows, generator=g, dtype=torch.float64)
        y, z = draw(300 + case, rows, E), 2 * draw(400 + case, rows, D)
        measured = ms.Measured(prior, Matrix(matrix), y, s)
        parts = (prior.weights.numpy(), prior.means.numpy(), prior.covs.numpy())
        rest = [part.numpy() for part in (h, matrix, y, s)]
        before = objective(parts, z.numpy(), *rest)
        for _ in range(8):
            z = z + ms.shift(measured, z, h)
            after = objective(parts, z.numpy(), *rest)
            worst, rises, before = min(worst, (after - before).min()), rises + (after > before).sum(), after
    assert worst > -1e-10 and rises > 4000


@pytest.mark.parametrize("accelerate", [True, False])
def test_modes_of_the_posterior_are_those_of_the_closed_form(accelerate: bool) -> None:
    worst = 0.0
    for case in range(4 if accelerate else 1):
        prior, matrix = mixture(case), draw(50 + case, E, D)
        y, h, s = draw(60 + case, 1, E), 0.3, 0.2
        found = ms.mean_shift(
            ms.Measured(prior, Matrix(matrix), y, s), prior.means, h, 1e-12, 20_000, accelerate=accelerate
        )
        assert found.converged.all() and found.log_prob is not None
        exact = oracle(prior, h, matrix, y[0], s)
        for z, log_p in zip(found.z.numpy(), found.log_prob, strict=True):
            mode = exact.mode_near(z)
            assert np.linalg.eigvalsh(exact.derivatives(mode)[1]).max() < 0
            worst = max(worst, float(np.abs(mode - z).max()))
            assert float(log_p) == pytest.approx(exact.log_prob(z), abs=1e-9)
    assert worst < 1e-8


def test_the_mode_of_a_gaussian_is_its_posterior_mean() -> None:
    prior = ms.GaussianMixture(torch.ones(1).double(), draw(0, 1, D), 0.5 * torch.eye(D, dtype=torch.float64)[None])
    matrix, y, h, s = draw(1, E, D), draw(2, 1, E), 0.4, 0.3
    found = ms.mean_shift(ms.Measured(prior, Matrix(matrix), y, s), draw(3, 3, D), h, 1e-13)
    expected = oracle(prior, h, matrix, y[0], s).means[0]
    assert np.abs(found.z.numpy() - expected).max() < 1e-10


def test_no_noise_keeps_the_data_and_much_noise_ignores_it() -> None:
    prior, mask = mixture(3), torch.tensor([1, 0, 1, 0, 0])
    y = torch.tensor([[0.3, 0.0, -0.2, 0.0, 0.0]], dtype=torch.float64)
    z = draw(4, 3, D)
    kept = z + ms.shift(ms.Measured(prior, ms.Mask(mask), y, 0.0), z, 0.5)
    assert torch.allclose(kept[:, mask > 0], y[:, mask > 0].expand(3, -1), atol=1e-11)
    plain = ms.shift(prior, z, 0.5)
    assert torch.allclose((kept - z)[:, mask == 0], plain[:, mask == 0])
    assert torch.allclose(ms.shift(ms.Measured(prior, ms.Mask(mask), y, 1e9), z, 0.5), plain)


def test_rows_are_independent_and_each_has_its_own_measurement() -> None:
    prior, operator = mixture(5), Matrix(draw(6, E, D))
    y, s, z = draw(7, 4, E), torch.tensor([0.1, 0.2, 0.0, 1.0], dtype=torch.float64), draw(8, 4, D)
    together = ms.mean_shift(ms.Measured(prior, operator, y, s), z, 0.3, 1e-11, 3000)
    for i in range(4):
        # the floor of no noise is that of all rows of y
        term = ms.Measured(prior, operator, y, s).term.select(torch.tensor([i]))
        alone = ms.mean_shift(Constrained(prior, term), z[i : i + 1], 0.3, 1e-11, 3000)
        assert torch.allclose(together.z[i], alone.z[0], rtol=0, atol=1e-8)
        step = ms.shift(Constrained(prior, term), z[i : i + 1], 0.3)[0]
        assert torch.allclose(ms.shift(ms.Measured(prior, operator, y, s), z, 0.3)[i], step, rtol=0, atol=1e-12)


def test_certificates_are_those_of_the_posterior() -> None:
    prior, matrix, y, h, s = mixture(7), draw(9, E, D), draw(10, 1, E), 0.3, 0.15
    measured = ms.Measured(prior, Matrix(matrix), y, s)
    modes = ms.find_modes(measured, h, 32, rng=torch.Generator().manual_seed(0))
    certificate = ms.certify(measured, modes.z, h)
    assert certificate.is_mode.all()
    exact = oracle(prior, h, matrix, y[0], s)
    form = np.eye(D) + (h / s) ** 2 * (matrix.mT @ matrix).numpy()
    for z, top, radius in zip(modes.z.numpy(), certificate.top_eigenvalue, certificate.spectral_radius, strict=True):
        # Hessian = metric (J - I) / h^2, in the coordinates in which the metric is the identity
        root = np.linalg.inv(np.linalg.cholesky(form))
        expected = 1 + np.linalg.eigvalsh(h * h * root @ exact.derivatives(z)[1] @ root.T).max()
        assert float(top) == pytest.approx(expected, abs=1e-9) and float(radius) == pytest.approx(expected, abs=1e-9)


def test_a_saddle_of_the_posterior_is_no_mode() -> None:
    covs = 0.01 * torch.eye(2, dtype=torch.float64).expand(2, 2, 2)
    prior = ms.GaussianMixture(
        torch.tensor([0.5, 0.5]).double(), torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).double(), covs
    )
    measured = ms.Measured(prior, Matrix(torch.tensor([[0.0, 1.0]]).double()), torch.tensor([[0.2]]).double(), 0.1)
    saddle = ms.mean_shift(measured, torch.tensor([[0.0, 0.3]]).double(), 0.3, 1e-12, accelerate=False)
    certificate = ms.certify(measured, saddle.z, 0.3)
    assert certificate.relative_shift[0] < 1e-10 and not certificate.is_mode[0] and certificate.top_eigenvalue[0] > 1


def test_power_iteration_finds_what_the_dense_jacobian_has() -> None:
    d = 66
    values = torch.linspace(0.02, 0.1, d, dtype=torch.float64)
    values[5] = 3.0
    prior = ms.GaussianMixture(torch.ones(1).double(), torch.zeros(1, d).double(), torch.diag(values)[None])
    matrix, h, s = 0.3 * draw(11, 20, d), 0.5, 0.2
    measured = ms.Measured(prior, Matrix(matrix), draw(12, 1, 20), s)
    z = ms.mean_shift(measured, torch.zeros(1, d).double(), h, 1e-10).z
    certificate = ms.certify(measured, z, h, rng=torch.Generator().manual_seed(0), iterations=12)
    jacobian = torch.linalg.solve(
        torch.eye(d).double() + (h / s) ** 2 * matrix.mT @ matrix, torch.diag(values / (values + h * h))
    )
    expected = torch.linalg.eigvals(jacobian).abs().max().item()
    assert certificate.top_eigenvalue.item() == pytest.approx(expected, abs=5e-3)
    assert certificate.spectral_radius.item() == pytest.approx(expected, abs=1e-3) and certificate.is_mode.all()


def test_guidance_inside_and_outside_give_the_same_target() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    base = mixture(8)
    prior = ms.GaussianMixture(base.weights, base.means, base.covs, labels=labels)
    conditions = ms.Conditions(torch.zeros(3, dtype=torch.long), torch.full((3,), -1))
    operator, y, z = Matrix(draw(13, E, D)), draw(14, 1, E), draw(15, 3, D)
    inside = ms.Measured(ms.Guided(prior, 3.0), operator, y, 0.2)
    outside = ms.Guided(ms.Measured(prior, operator, y, 0.2), 3.0)
    assert torch.allclose(ms.shift(inside, z, 0.4, conditions), ms.shift(outside, z, 0.4, conditions), atol=1e-12)
    counting = ms.Counting(prior)
    ms.shift(ms.Measured(ms.Guided(counting, 3.0), operator, y, 0.2), z, 0.4, conditions)
    assert counting.calls == 6
    with pytest.raises(TypeError, match="guides by itself"):
        method = CSD()
        method.step(z, inside, method.init(z, inside), conditions=conditions, progress=0.5, rng=ms.Streams(0))


def test_msd_on_points_is_annealed_em() -> None:
    prior, matrix, y, s = mixture(9), draw(16, E, D), draw(17, 1, E), 0.2
    measured = ms.Measured(prior, Matrix(matrix), y, s)
    points = ms.Points(draw(18, 6, D))
    optimizer = torch.optim.SGD(points.parameters(), lr=1.0)
    schedule = ms.Geometric(2.0, 0.3, hold=0.5)
    with torch.no_grad():
        z = points(points.view(1, ms.Streams(0))).detach().clone()
    for step in ms.distill(points, measured, ms.MSD(schedule), optimizer, steps=60, rng=0):
        z = z + ms.shift(measured, z, schedule.at(step.index / 59))
    with torch.no_grad():
        end = points(points.view(1, ms.Streams(0))).detach()
    assert torch.allclose(end, z, atol=1e-9)
    exact = oracle(prior, 0.3, matrix, y[0], s)
    gains = [exact.log_prob(row) - exact.log_prob(exact.mode_near(row)) for row in end.numpy()]
    assert max(abs(gain) for gain in gains) < 1e-3


@pytest.mark.parametrize("sampler", [ms.ddim, ms.heun, ms.dpmpp_2m, ms.invert])
def test_samplers_refuse_a_measured_prior(sampler: object) -> None:
    assert callable(sampler)
    measured = ms.Measured(mixture(0), Matrix(draw(0, E, D)), draw(1, 1, E), 0.1)
    for prior in (measured, ms.Product(measured, draw(2, 1, D), 0.3), ms.Counting(measured)):
        with pytest.raises(ValueError, match="a sampler needs posterior means, got a .* prior, whose predictions are"):
            sampler(prior, draw(3, 1, D), prior.grid(4))


def test_a_general_likelihood_reaches_the_mode_of_its_gaussian_twin_and_never_falls() -> None:
    prior, matrix, y, s, h = mixture(10), draw(19, E, D), draw(20, E), 0.3, 0.4
    likelihood = ms.Likelihood(lambda z: -((z @ matrix.mT - y) ** 2).sum(1) / (2 * s * s))
    z = 2 * draw(21, 3, D)
    exact = oracle(prior, h, matrix, y, s)
    before = np.array([exact.log_prob(row) for row in z.numpy()])
    constrained = Constrained(prior, likelihood)
    for _ in range(15):
        z = z + ms.shift(constrained, z, h)
        after = np.array([exact.log_prob(row) for row in z.numpy()])
        assert (after >= before - 1e-10).all()
        before = after
    found = ms.mean_shift(constrained, z, h, 1e-9, 500)
    assert max(float(np.abs(exact.mode_near(row) - row).max()) for row in found.z.numpy()) < 1e-6


def bent(z: Tensor) -> Tensor:
    """A nonlinear measurement of two numbers."""
    return torch.stack([z[:, 0] ** 2 + z[:, 1], (z[:, 2] * z[:, 3]).sin()], 1)


def test_least_squares_of_a_nonlinear_measurement_never_fall() -> None:
    prior, h = mixture(11), 0.5
    z, y = 2 * draw(22, 30, D), draw(23, 30, E)
    s = 0.05 * 20 ** torch.rand(30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    constrained = Constrained(prior, LeastSquares(bent, y, s))

    def value(x: Tensor) -> Tensor:
        smooth = prior.evaluate(x, torch.ones(30).double(), torch.full((30,), h).double())[1]
        return smooth - ((bent(x) - y) ** 2).sum(1) / (2 * s * s)

    before = start = value(z)
    for _ in range(25):
        z = z + ms.shift(constrained, z, h)
        after = value(z)
        assert (after >= before - 1e-10).all()
        before = after
    assert (before > start + 0.1).all()


def test_gauss_newton_of_a_linear_map_is_the_linear_solve() -> None:
    prior, matrix, y, z = mixture(12), draw(24, E, D), draw(25, 1, E), draw(26, 4, D)
    term = LeastSquares(
        lambda x: x @ matrix.mT, y, torch.tensor([0.2], dtype=torch.float64), iterations=20, tolerance=1e-9
    )
    by_gauss_newton = ms.shift(Constrained(prior, term), z, 0.4)
    exact = ms.shift(ms.Measured(prior, Matrix(matrix), y, 0.2), z, 0.4)
    assert torch.allclose(by_gauss_newton, exact, atol=1e-7)


MASK = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
INVALID = [
    (lambda p: ms.Measured(p, ms.Mask(MASK), torch.ones(1, D).double(), -0.1), "noise must be at least 0 and"),
    (lambda p: ms.Measured(p, ms.Mask(MASK), torch.ones(1, D).double(), float("nan")), "noise must be at least 0"),
    (lambda p: ms.Measured(p, ms.Mask(MASK), torch.ones(1, D).double(), 0.0), "y must be data that the op"),
    (lambda p: ms.Measured(p, ms.Mask(MASK), torch.full((1, D), torch.nan).double(), 0.1), "y must be finite, got NaN"),
    (lambda p: ms.Measured(p, ms.Mask(MASK[:4]), torch.ones(1, D).double(), 0.1), r"mask must fit an item of sha"),
    (lambda p: ms.Measured(p, Matrix(draw(0, E, D)), torch.ones(1, 3).double(), 0.1), r"y must have .* \(b, 2\)"),
    (lambda p: ms.Measured(p, Matrix(draw(0, E, D)), torch.ones(3, E).double(), torch.ones(2)), "noise must be one"),
    (lambda p: ms.certify(Constrained(p, ms.Likelihood(lambda z: z.sum(1))), p.means, 0.3), "certify needs a linear"),
    (lambda p: ms.shift(Constrained(p, ms.Likelihood(lambda z: z.sum())), p.means, 0.3), "must give one number per"),
    (lambda p: ms.Measured(p, ms.Mask(MASK), torch.ones(1, D).double(), 0.1)(p.means, torch.ones(4).double() * 0 + 1),
     "no target at alpha = 0"),
]  # fmt: skip


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("make", "words"), INVALID)
def test_invalid_input_is_one_line(make: object, words: str) -> None:
    assert callable(make)
    base = mixture(0)
    prior = ms.GaussianMixture(base.weights, base.means, base.covs, schedule=ms.Flow())
    with pytest.raises(ValueError, match=words):
        make(prior)


def test_another_number_of_rows_is_refused() -> None:
    measured = ms.Measured(mixture(0), Matrix(draw(0, E, D)), draw(1, 3, E), 0.1)
    with pytest.raises(ValueError, match=r"y must have one row or as many as z, got 3 for 2 points"):
        ms.shift(measured, draw(2, 2, D), 0.3)
