"""Toy datasets: normalised, centred, of unit variance, with classes that add up; digits against closed forms."""

from __future__ import annotations

import math

import cases
import numpy as np
import pytest
import torch

from modeseek.datasets import toy2d as plane
from modeseek.datasets.digits import Digits
from modeseek.datasets.toy2d import ToyDataset2D

SHALLOW = 3  # depth of the fractal where a grid must resolve its finest branch
PLANES = {
    "fractal": plane.fractal(SHALLOW),
    "spiral": plane.spiral(),
    "pinwheel": plane.pinwheel(),
    "ring": plane.ring(),
    "grid": plane.grid(),
}


def on_grid(problem: ToyDataset2D, h: float, label: int | None = None) -> tuple[np.ndarray, np.ndarray, float]:
    """Points, density and cell area of a square that holds all but a negligible part of the mass."""
    reach = problem.extent + 3 * h + 0.5
    step = max(problem.bandwidth, h) / 2  # the trapezoidal sum of a Gaussian at half its width errs below 1e-30
    ticks = torch.arange(-reach, reach, step, dtype=cases.F64)
    z = torch.cartesian_prod(ticks, ticks)
    one = torch.ones(len(z), dtype=cases.F64)
    cond = None if label is None else torch.full((len(z),), label)
    density = problem.prior.evaluate(z, one, h * one, cond)[1].exp()
    return z.numpy(), density.numpy(), step**2


@pytest.mark.parametrize("name", PLANES)
def test_the_density_is_normalised_centred_and_of_unit_variance(name: str) -> None:
    z, density, area = on_grid(PLANES[name], 0.1)
    mean = area * density @ z
    second = area * np.einsum("n,ni,nj->ij", density, z, z)
    assert area * density.sum() == pytest.approx(1, abs=1e-6)
    assert np.abs(mean).max() <= 1e-6
    assert np.trace(second) / 2 == pytest.approx(1 + 0.1**2, abs=1e-5)


@pytest.mark.parametrize("name", ["fractal", "pinwheel", "ring"])
def test_a_class_is_a_density_of_its_own(name: str) -> None:
    problem = PLANES[name]
    assert problem.prior.labels is not None
    mixed = 0
    for label in problem.prior.labels.unique().tolist():
        share = problem.prior.weights[problem.prior.labels == label].sum().item()
        _, density, area = on_grid(problem, 0.1, label)
        assert area * density.sum() == pytest.approx(1, abs=1e-6)
        mixed = mixed + share * density
    _, whole, _ = on_grid(problem, 0.1)
    np.testing.assert_allclose(mixed, whole, atol=1e-12)


@pytest.mark.parametrize("name", PLANES)
def test_samples_have_the_moments_of_the_density(name: str) -> None:
    """20,000 draws: the mean's standard error is 0.007, the variance's below 0.015."""
    z = PLANES[name].prior.sample(20_000, cases.generator(1))
    assert z.mean(0).abs().max() <= 0.035
    assert z.square().sum(1).mean() / 2 == pytest.approx(1, abs=0.05)
    assert (z.abs() <= PLANES[name].extent).all(1).double().mean() >= 0.99


def test_the_bandwidth_is_the_smallest_width() -> None:
    for problem in PLANES.values():
        widths = [np.sqrt(np.linalg.eigvalsh(cov).min()) for cov in problem.prior.covs.numpy()]
        assert problem.bandwidth == pytest.approx(min(widths))


def test_the_fractal_has_two_trees_of_equal_weight() -> None:
    """Depth 6: 63 branches a class, two Gaussians each."""
    prior = plane.fractal().prior
    assert prior.labels is not None
    assert torch.bincount(prior.labels).tolist() == [126, 126]
    assert prior.weights[prior.labels == 0].sum().item() == pytest.approx(0.5)


def test_the_ring_has_its_modes_on_a_circle() -> None:
    problem = plane.ring(n=6)
    radius = problem.prior.means.norm(dim=1)
    assert radius.std() <= 1e-12
    angle = torch.atan2(*problem.prior.means.T.flip(0)).sort().values.diff()
    assert cases.error(angle, torch.full((5,), math.pi / 3, dtype=cases.F64)) <= 1e-12


def test_a_grid_of_starts_covers_the_square() -> None:
    problem = PLANES["ring"]
    z = problem.grid(7)
    assert z.shape == (49, 2) and len(z.unique(dim=0)) == 49
    assert z.amin().item() == -problem.extent and z.amax().item() == problem.extent


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits.load()


def test_digits_are_split_by_class_without_overlap(digits: Digits) -> None:
    assert len(digits.train) + len(digits.held_out) == 1797
    assert digits.train.min() == -1 and digits.train.max() == 1
    for label in range(10):
        kept, held = (digits.train_labels == label).sum(), (digits.held_out_labels == label).sum()
        assert abs(held / (kept + held) - 0.2) <= 0.01
    together = torch.cat([digits.train, digits.held_out]).flatten(1)
    assert len(together.unique(dim=0)) == len(together)


def test_digits_log_likelihood_is_the_kernel_estimate(digits: Digits) -> None:
    z = digits.train[:4] + 0.1
    mine = digits.held_out[digits.held_out_labels == 5].flatten(1).double().numpy()
    h = digits.bandwidth
    want = []
    for x in z.flatten(1).double().numpy():
        logits = -((mine - x) ** 2).sum(1) / (2 * h * h)
        top = logits.max()
        want.append(top + np.log(np.exp(logits - top).mean()) - 64 * (0.5 * math.log(2 * math.pi) + math.log(h)))
    assert cases.error(digits.log_likelihood(z, 5).double(), torch.tensor(np.array(want))) <= 1e-4
    nearest = [np.sqrt(((mine - x) ** 2).sum(1).min()) for x in z.flatten(1).double().numpy()]
    assert cases.error(digits.nearest_distance(z, 5).double(), torch.tensor(np.array(nearest))) <= 1e-5


def test_the_classifier_knows_held_out_digits(digits: Digits) -> None:
    assert (digits.classifier()(digits.held_out) == digits.held_out_labels).double().mean() >= 0.97
