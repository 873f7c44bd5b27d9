"""Certificates against posterior covariances by quadrature and in closed form."""

from __future__ import annotations

import pytest
import torch
from cases_shift import generator, prior_of, sample_mixture, tensor, three_gaussians, two_gaussians
from oracles_shift import F64, Mixture, modes, posterior, posterior_by_quadrature

import modeseek as ms

POINTS = tensor([0.3, 0.2], [-2.5, 1.0], [1.0, -1.0], [3.0, 3.0])


@pytest.mark.parametrize("h", [0.3, 0.8, 2.0])
def test_the_jacobian_is_the_posterior_covariance_over_h_squared(h):
    mean, cov = posterior_by_quadrature(three_gaussians(), POINTS, h)
    certificate = ms.certify(prior_of(three_gaussians()), POINTS, h)
    expected = torch.linalg.eigvalsh(cov / h**2)[:, -1]
    assert torch.allclose(certificate.top_eigenvalue, expected, rtol=1e-7)
    assert torch.allclose(certificate.spectral_radius, expected, rtol=1e-7)  # symmetric, positive
    assert torch.allclose(certificate.relative_shift, (mean - POINTS).norm(dim=1) / (h * 2**0.5), rtol=1e-7)
    assert not certificate.is_mode.any() and not certificate.is_stable.any()
    assert certificate.products == 2


def test_bandwidths_per_row():
    h = tensor(0.3, 0.5, 0.8, 2.0)
    certificate = ms.certify(prior_of(three_gaussians()), POINTS, h)
    for i, width in enumerate(h.tolist()):
        cov = posterior_by_quadrature(three_gaussians(), POINTS[i : i + 1], width)[1][0]
        assert abs(float(certificate.top_eigenvalue[i]) - float(torch.linalg.eigvalsh(cov / width**2)[-1])) <= 1e-8


def test_modes_are_certified():
    true = modes(three_gaussians(), 0.5, three_gaussians().means)
    certificate = ms.certify(prior_of(three_gaussians()), true, 0.5)
    assert certificate.is_mode.all() and certificate.is_stable.all()
    assert (certificate.top_eigenvalue < 1).all() and (certificate.relative_shift <= 1e-10).all()


def test_a_saddle_has_no_shift_and_is_no_mode():
    # at the midpoint of N(-a, s^2 I), N(a, s^2 I): J = s^2 / v + a^2 h^2 / v^2 along the axis, v = s^2 + h^2
    a, s, h = 1.5, 0.5, 0.6
    v = s**2 + h**2
    saddle = torch.zeros(1, 2, dtype=F64)
    certificate = ms.certify(prior_of(two_gaussians(2 * a, s)), saddle, h)
    assert certificate.relative_shift.item() <= 1e-15
    assert certificate.top_eigenvalue.item() == pytest.approx(s**2 / v + a**2 * h**2 / v**2, rel=1e-10)
    assert not certificate.is_mode.item() and not certificate.is_stable.item()
    wide = ms.certify(prior_of(two_gaussians(2 * a, s)), saddle, 1.6)  # a^2 < s^2 + h^2: one mode, here
    assert wide.is_mode.item()


def test_the_tolerance_is_on_the_relative_shift():
    h = 0.5
    near = modes(three_gaussians(), h, three_gaussians().means[:1]) + tensor([1e-3, 0.0])
    relative = float((posterior(three_gaussians(), near, h)[0] - near).norm() / (h * 2**0.5))
    prior = prior_of(three_gaussians())
    assert ms.certify(prior, near, h, tol=relative * 1.01).is_mode.item()
    assert not ms.certify(prior, near, h, tol=relative * 0.99).is_mode.item()


def test_a_guided_fixed_point_is_never_a_mode():
    bare = prior_of(three_gaussians(), labels=[0, 0, 1])
    conditions = ms.Conditions(torch.zeros(1, dtype=torch.long), null=torch.full((1,), -1))
    guided = ms.Guided(bare, 1.5)
    z = three_gaussians().means[:1]
    for _ in range(200):
        z = z + ms.shift(guided, z, 0.6, conditions)
    weak = ms.GaussianMixture(tensor(1.0), tensor([0.0, 0.0]), 9 * torch.eye(2, dtype=F64)[None])
    auto = ms.priors.AutoGuidance(prior_of(three_gaussians()), weak, 1.5)
    fixed = three_gaussians().means[:1]
    for _ in range(200):
        fixed = fixed + ms.shift(auto, fixed, 0.6)
    for prior, point, cond in ((guided, z, conditions), (ms.Counting(guided), z, conditions), (auto, fixed, None)):
        certificate = ms.certify(prior, point, 0.6, cond)
        assert certificate.is_stable.item() and not certificate.is_mode.item()
    # the same point of an unguided prior with the same predictions is a mode; counting changes nothing
    true = modes(three_gaussians(), 0.6, three_gaussians().means[:1])
    assert ms.certify(ms.Counting(prior_of(three_gaussians())), true, 0.6).is_mode.item()


def linear(d: int, null: torch.Tensor, conditional: torch.Tensor) -> ms.GaussianMixture:
    """Two classes of one centred Gaussian each, whose denoisers at h = 1 have these diagonal Jacobians."""
    spreads = torch.stack([torch.diag(j / (1 - j)) for j in (null, conditional)])
    return ms.GaussianMixture(tensor(0.5, 0.5), torch.zeros(2, d, dtype=F64), spreads, labels=torch.tensor([0, 1]))


@pytest.mark.slow
@pytest.mark.parametrize("d", [6, 80], ids=["dense", "power iteration"])
def test_top_eigenvalue_and_radius_differ_where_guidance_makes_the_jacobian_indefinite(d):
    null, conditional = torch.full((d,), 0.2, dtype=F64), torch.full((d,), 0.2, dtype=F64)
    null[0], conditional[0] = 0.9, 0.3  # guided with scale 4: 0.9 + 4 (0.3 - 0.9) = -1.5
    null[1], conditional[1] = 0.1, 0.25  # 0.1 + 4 * 0.15 = 0.7
    prior = ms.Guided(linear(d, null, conditional), 4.0)
    conditions = ms.Conditions(torch.tensor([1]), null=torch.tensor([0]))
    z = torch.zeros(2, d, dtype=F64)
    certificate = ms.certify(prior, z, 1.0, conditions, rng=generator(), iterations=60)
    assert torch.allclose(certificate.top_eigenvalue, torch.full((2,), 0.7, dtype=F64), rtol=1e-4)
    assert torch.allclose(certificate.spectral_radius, torch.full((2,), 1.5, dtype=F64), rtol=1e-4)
    assert not certificate.is_stable.any()
    assert certificate.products == (d if d == 6 else 300)


def test_an_asymmetric_jacobian_has_different_eigenvalue_and_radius():
    class Shear(ms.priors.BasePrior):
        """D(z) = z A: top eigenvalue of the symmetric part 2.1, spectral radius 0.1."""

        schedule, shape, dtype, device = ms.VP(), (2,), F64, torch.device("cpu")
        matrix = tensor([0.1, 4.0], [0.0, 0.1])

        def at(self, z_t, alpha, sigma, cond=None):
            return ms.Prediction.from_z(z_t, alpha, sigma, z_t / alpha[:, None] @ self.matrix)

    certificate = ms.certify(Shear(), torch.zeros(1, 2, dtype=F64), 0.7)
    assert certificate.top_eigenvalue.item() == pytest.approx(2.1, rel=1e-12)
    assert certificate.spectral_radius.item() == pytest.approx(0.1, rel=1e-6)
    assert certificate.is_stable.item() and not certificate.is_mode.item()


@pytest.mark.slow
def test_power_iteration_agrees_with_the_covariance_of_a_mixture_in_many_dimensions():
    d, h, g = 80, 1.2, generator(7)
    means = 0.6 * torch.randn(3, d, dtype=F64, generator=g)
    spread = 0.2 + 0.3 * torch.rand(3, d, dtype=F64, generator=g)
    spread[:, 0] = 2.0  # one direction stands out, so that 80 iterations suffice
    mixture = Mixture(tensor(0.5, 0.3, 0.2), means, torch.diag_embed(spread))
    z = means + 0.3 * torch.randn(3, d, dtype=F64, generator=g)
    certificate = ms.certify(prior_of(mixture), z, h, rng=generator(), iterations=80)
    mean, cov = posterior(mixture, z, h)
    expected = torch.linalg.eigvalsh(cov / h**2)[:, -1]
    assert torch.allclose(certificate.top_eigenvalue, expected, rtol=1e-4)
    assert torch.allclose(certificate.spectral_radius, expected, rtol=1e-4)
    assert torch.allclose(certificate.relative_shift, (mean - z).norm(dim=1) / (h * d**0.5), rtol=1e-10)
    # the same numbers by the dense path, of the image-shaped twin of fewer dimensions
    true = modes(mixture, h, means[:1])
    found = ms.certify(prior_of(mixture), true, h, rng=generator(), iterations=80)
    assert bool(found.is_mode) is bool(torch.linalg.eigvalsh(posterior(mixture, true, h)[1] / h**2)[0, -1] < 1)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 9, 9)], ids=["dense", "power iteration"])
def test_images(shape):
    d, h = shape[1] * shape[2], 0.9
    data = torch.randn(12, *shape, dtype=F64, generator=generator(2))
    z = data[:3] + 0.1
    flat, c = data.flatten(1), z.flatten(1)
    weight = torch.softmax(-(torch.cdist(c, flat) ** 2) / (2 * h**2), 1)
    away = flat[None] - (weight @ flat)[:, None]
    cov = torch.einsum("bn,bni,bnj->bij", weight, away, away)
    certificate = ms.certify(ms.Empirical(data), z, h, rng=generator(), iterations=120)
    assert certificate.products == (d if d <= 64 else 600)
    expected = torch.linalg.eigvalsh(cov / h**2)[:, -1]
    # power iteration's Rayleigh quotient falls short by less than its own residual; 120 iterations
    assert torch.allclose(certificate.top_eigenvalue, expected, rtol=1e-5 if d <= 64 else 1e-2, atol=1e-10)


def test_above_64_dimensions_an_rng_is_required():
    data = sample_mixture(three_gaussians(), 5).repeat(1, 40)
    with pytest.raises(ValueError, match="got d=80 and no rng; pass rng"):
        ms.certify(ms.Empirical(data), data, 1.0)
    with pytest.raises(ValueError, match="positive and finite"):
        ms.certify(prior_of(three_gaussians()), POINTS, 0.0)


def test_results_are_detached():
    z = POINTS.clone().requires_grad_()
    with torch.no_grad():
        certificate = ms.certify(prior_of(three_gaussians()), z, 0.5)
    assert (
        not certificate.top_eigenvalue.requires_grad and not certificate.relative_shift.requires_grad and z.grad is None
    )
