"""Data terms of renderings: values, weights beside MSD, a NeRF from photographs, a drawing of a silhouette."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import modeseek as ms
from modeseek.generators.base import render
from modeseek.methods import data_weight
from modeseek.operators import GaussianLikelihood, Matrix
from modeseek.regularizers import MeasurementPenalty

F64 = torch.float64


def test_the_value_is_the_weighted_misfit() -> None:
    image = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=F64)
    y = torch.rand(1, 1, 2, 2, generator=torch.Generator().manual_seed(1), dtype=F64)
    penalty = MeasurementPenalty(0.7, GaussianLikelihood.measured(ms.Downsample(2), y, 0.1))
    means = image.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))
    misfit = ((means - y) ** 2).sum((1, 2, 3)) / (2 * 0.01)
    expected = 0.7 * (misfit + 2 * math.log(2 * math.pi * 0.01)).mean()
    assert penalty(ms.Rendering(ms.View((0, 1, 2)), image), 0.3).item() == pytest.approx(expected.item(), rel=1e-12)


def test_the_weight_beside_msd_is_that_of_the_blurred_likelihood() -> None:
    method = ms.MSD(ms.Geometric(2.0, 0.1, hold=0.2), weight=lambda alpha, sigma: alpha * sigma)
    weight = data_weight(method, ms.VE(0.01, 10.0), 0.3)
    for progress, h in ((0.0, 2.0), (0.4, 2.0 * 0.05**0.5), (1.0, 0.1)):
        assert weight(progress) == pytest.approx(h * h * h * 0.09 / (0.09 + h * h), rel=1e-6)  # alpha 1, sigma h
    along = ms.MSD(ms.Along(ms.noise_levels.Annealed(0.9, 0.1)))
    alpha, sigma = ms.VP()(torch.tensor([0.5], dtype=F64))
    square = float(sigma / alpha) ** 2
    assert data_weight(along, ms.VP(), 0.2)(0.5) == pytest.approx(1 / (1 / square + 25), rel=1e-5)


def test_descent_with_a_penalty_reaches_the_mode_of_the_posterior() -> None:
    """A generator under MSD and the penalty ends where mean shift on the measured prior does."""
    g = torch.Generator().manual_seed(2)
    mean, matrix = torch.randn(1, 4, generator=g, dtype=F64), torch.randn(2, 4, generator=g, dtype=F64)
    prior = ms.GaussianMixture(torch.ones(1, dtype=F64), mean, 0.05 * torch.eye(4, dtype=F64)[None])
    y, h, s = torch.randn(1, 2, generator=g, dtype=F64), 0.2, 0.4
    points = ms.Points(torch.zeros(1, 4, dtype=F64))
    penalty = MeasurementPenalty(h * h, GaussianLikelihood.measured(Matrix(matrix), y, s))
    optimizer = torch.optim.SGD(points.parameters(), lr=0.9)
    for _ in ms.distill(points, prior, ms.MSD(h), optimizer, steps=60, regularizers=[penalty], rng=0):
        pass
    end = ms.mean_shift(ms.Measured(prior, Matrix(matrix), y, s), mean, h, 1e-12).z
    assert torch.allclose(next(points.parameters()).detach().reshape(1, 4), end, atol=1e-8)


@pytest.mark.slow
def test_a_nerf_is_fitted_to_three_photographs_beside_a_prior() -> None:
    truth, nerf = (ms.NeRF(ms.generators.Dense((8,)), size=8, samples=8) for _ in range(2))
    with torch.no_grad():
        for parameter in truth.parameters():
            parameter.add_(4 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
        view = truth.view(3, ms.Streams(0, items=(0, 1, 2)))
        photographs = render(truth, view).image
    prior = ms.GaussianMixture(torch.ones(1), torch.full((1, 192), 0.5), 0.2 * torch.eye(192)[None])
    term = GaussianLikelihood.measured(ms.Mask(torch.ones(8, 8)), photographs, 0.05)
    method = ms.MSD(ms.Geometric(2.0, 0.1))
    penalty = MeasurementPenalty(data_weight(method, prior.schedule, 0.05), term, nerf, view)
    codec = Flat()
    before = (render(nerf, view).image - photographs).square().mean().item()
    optimizer = torch.optim.Adam(nerf.parameters(), lr=0.15)
    for _ in ms.distill(nerf, prior, method, optimizer, steps=40, batch=2, codec=codec, regularizers=[penalty], rng=0):
        pass
    after = (render(nerf, view).image - photographs).square().mean().item()
    assert after < 0.5 * before


class Flat:
    """Codec of a prior of flattened images."""

    def encode(self, image: Tensor) -> Tensor:
        return image.flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        return z.reshape(len(z), 3, 8, 8)


def test_a_drawing_matches_a_silhouette_beside_a_prior() -> None:
    side = 8
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    silhouette = (((rows - 3.5) ** 2 + (columns - 3.5) ** 2) < 7).float()  # dark disc on white
    drawing = ms.Drawing(1, size=(side, side), paths=3, cubics=3, rng=torch.Generator().manual_seed(0))
    term = ms.Likelihood(lambda image: -((1 - image.mean(1) - silhouette) ** 2).sum((1, 2)) / (2 * 0.1**2))
    prior = ms.GaussianMixture(torch.ones(1), torch.full((1, 192), 0.5), 0.3 * torch.eye(192)[None])
    method = ms.MSD(ms.Geometric(1.0, 0.1))
    penalty = MeasurementPenalty(data_weight(method, prior.schedule, 0.1), term)
    view = drawing.view(1, ms.Streams(0))
    before = -term.log_prob(render(drawing, view).image).item()
    optimizer = torch.optim.Adam(drawing.parameters(), lr=0.03)
    for _ in ms.distill(drawing, prior, method, optimizer, steps=20, codec=Flat(), regularizers=[penalty], rng=0):
        pass
    assert -term.log_prob(render(drawing, view).image).item() < 0.7 * before


def test_invalid_arguments_are_one_line() -> None:
    with pytest.raises(ValueError, match="MeasurementPenalty needs data, and a generator with a view or neither"):
        MeasurementPenalty(1.0)
    with pytest.raises(ValueError, match="data_weight needs a bandwidth that is known beforehand, got Adaptive"):
        data_weight(ms.MSD(ms.Adaptive(0.1)), ms.VP(), 0.1)
    with pytest.raises(ValueError, match="noise must be positive and finite, got 0.0; try 0.05"):
        data_weight(ms.MSD(1.0), ms.VP(), 0.0)
