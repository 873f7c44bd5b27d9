"""Classes of a mixture, convolved: densities by numerical convolution, and nothing else changed."""

from __future__ import annotations

import pytest
import torch
from cases import F64, one_line

import modeseek as ms
from modeseek.priors import BlurredClasses

MEANS = torch.tensor([[-1.0, 0.2], [0.6, 0.0], [0.9, -0.7]], dtype=F64)
COVS = torch.stack([torch.tensor([[0.05, 0.01], [0.01, 0.02]]), torch.eye(2) * 0.04, torch.eye(2) * 0.09]).double()
WEIGHTS = torch.tensor([0.2, 0.5, 0.3], dtype=F64)
LABELS = torch.tensor([0, 1, 1])


def mixture() -> ms.GaussianMixture:
    return ms.GaussianMixture(WEIGHTS, MEANS, COVS, ms.VE(0.002, 5.0), LABELS)


def labels(value: int, n: int) -> torch.Tensor:
    return torch.full((n,), value)


def test_a_blurred_class_is_the_class_convolved() -> None:
    """Sum over a grid of the class's own density times a Gaussian kernel."""
    blur, ticks = 0.5, torch.linspace(-5, 5, 301, dtype=F64)
    grid = torch.cartesian_prod(ticks, ticks)
    cell = (ticks[1] - ticks[0]).item() ** 2
    z = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    prior = BlurredClasses(mixture(), blur)
    for label in (0, 1):
        own = mixture().log_prob(grid, cond=labels(label, len(grid))).exp()
        kernel = (-0.5 * torch.cdist(z, grid).square() / blur**2).exp() / (2 * torch.pi * blur**2)
        assert torch.allclose(prior.log_prob(z, cond=labels(label + 2, 6)).exp(), cell * kernel @ own, rtol=1e-6)


def test_classes_and_the_whole_are_those_of_the_mixture() -> None:
    prior, plain = BlurredClasses(mixture(), 0.5), mixture()
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(1), dtype=F64)
    t = torch.tensor([0.05, 0.2, 0.5, 0.8, 0.95], dtype=F64)
    for cond in (None, labels(-1, 5), labels(0, 5), labels(1, 5), torch.tensor([-1, 0, 1, -1, 0]), labels(-1, 1)):
        ours, theirs = prior(z, t, cond), plain(z, t, cond)
        assert torch.allclose(ours.z, theirs.z, atol=1e-12) and torch.allclose(ours.eps, theirs.eps, atol=1e-12)
        assert torch.allclose(prior.log_prob(z, t, cond), plain.log_prob(z, t, cond), atol=1e-12)
    mixed = torch.tensor([0, 2, -1, 3, 1])
    rows = torch.cat([prior(z[i : i + 1], t[i : i + 1], mixed[i : i + 1]).eps for i in range(5)])
    assert torch.allclose(prior(z, t, mixed).eps, rows, atol=1e-12)


def test_samples_of_a_blurred_class_have_its_moments() -> None:
    prior = BlurredClasses(mixture(), 0.5)
    drawn = prior.sample(40_000, torch.Generator().manual_seed(0), labels(2, 40_000))
    assert torch.allclose(drawn.mean(0), MEANS[0], atol=0.01)
    assert torch.allclose(drawn.T.cov(), COVS[0] + 0.25 * torch.eye(2, dtype=F64), atol=0.01)
    whole = prior.sample(40_000, torch.Generator().manual_seed(0))
    assert torch.allclose(whole.mean(0), WEIGHTS @ MEANS, atol=0.02)
    assert prior.to("cpu").blur == 0.5


def test_what_has_no_classes_or_no_width_is_refused() -> None:
    with pytest.raises(ValueError, match="must have classes to blur") as caught:
        BlurredClasses(ms.GaussianMixture(WEIGHTS, MEANS, COVS), 0.5)
    one_line(caught.value)
    for blur in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="blur must be positive and finite") as caught:
            BlurredClasses(mixture(), blur)
        one_line(caught.value)
