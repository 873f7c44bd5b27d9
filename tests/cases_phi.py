"""Helpers for tests of methods with an auxiliary: per-row times, row-wise oracles, a recording auxiliary."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from cases_shift import SCHEDULES, prior_of
from oracles_shift import F64, Mixture, level, posterior
from torch import Tensor

import modeseek as ms
from modeseek.diffusion.prediction import Prediction
from modeseek.generators.base import Rendering, View
from modeseek.methods.auxiliary import AuxiliaryInput, AuxiliaryTarget

T = (0.15, 0.4, 0.65, 0.9)
FOUR = torch.tensor([[0.3, -0.2], [1.4, 0.9], [-1.1, 0.4], [-0.3, -1.7]], dtype=F64)


@dataclass(frozen=True)
class PerRow:
    """A separate fixed time for each row."""

    t: tuple[float, ...] = T

    def __call__(self, progress: float, n: int, rng: ms.Rng) -> Tensor:
        return torch.tensor(self.t, dtype=F64)


def levels(schedule: str, times: tuple[float, ...] = T) -> tuple[Tensor, Tensor]:
    """alpha and sigma of each row, (n, 1), from the schedules' definitions."""
    pairs = torch.tensor([level(schedule, t) for t in times], dtype=F64)
    return pairs[:, :1], pairs[:, 1:]


def eps_of(mixture: Mixture, z_t: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """E[n | z_t] row by row, each at its own level: (z_t - alpha E[z | z_t]) / sigma in kernel coordinates."""
    rows = []
    for x, a, s in zip(z_t, alpha[:, 0].tolist(), sigma[:, 0].tolist(), strict=True):
        point = x[None] / a
        rows.append((point - posterior(mixture, point, s / a)[0])[0] * a / s)
    return torch.stack(rows)


def moments(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, and covariance divided by n."""
    centred = z - z.mean(0)
    return z.mean(0), centred.T @ centred / len(z)


def context(z: Tensor, particle: Tensor | None = None) -> ms.RenderContext:
    """A context of n items around z, each its own particle unless others are given."""
    view = View(tuple(range(len(z))))
    items = torch.arange(len(z))
    own = items if particle is None else particle
    return ms.RenderContext(view, Rendering(view, z), z, ms.codec.Identity(), items, own)


@dataclass(frozen=True)
class RecordingAuxiliary:
    """Auxiliary that predicts the noise of a standard normal distribution and records its inputs and targets."""

    predict_inputs: list[AuxiliaryInput] = field(default_factory=list)
    updates: list[tuple[AuxiliaryInput, tuple[AuxiliaryTarget, ...]]] = field(default_factory=list)

    def init(self, z: Tensor, prior: ms.Prior) -> None:
        return None

    def predict(self, state: Any, inputs: AuxiliaryInput) -> Prediction:
        self.predict_inputs.append(inputs)
        a, s = inputs.alpha[:, None], inputs.sigma[:, None]
        n = a**2 + s**2
        return Prediction.from_z_and_eps(inputs.z_t, inputs.alpha, inputs.sigma, a * inputs.z_t / n, s * inputs.z_t / n)

    def update(self, state: Any, inputs: AuxiliaryInput, targets: tuple[AuxiliaryTarget, ...]) -> tuple[None, Tensor]:
        self.updates.append((inputs, targets))
        return None, torch.zeros_like(inputs.alpha)


def step(method: ms.Method, z: Tensor, prior: ms.Prior, rng: ms.Rng, **options: Any) -> ms.Direction:
    """A method's first direction."""
    options = {"progress": 0.3} | options
    return method.step(z, prior, method.init(z, prior), rng=rng, **options)[0]


def prior_on(schedule: str, mixture: Mixture, labels: list[int] | None = None) -> ms.GaussianMixture:
    """The library's prior of an oracle's mixture."""
    return prior_of(mixture, SCHEDULES[schedule], labels)
