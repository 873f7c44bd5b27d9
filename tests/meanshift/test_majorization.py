"""Mean shift as majorise-minimise: whatever comes nearer to the target has a higher smoothed density."""

from __future__ import annotations

import pytest
import torch
from cases_shift import generator, prior_of, tensor, three_gaussians
from hypothesis import given
from hypothesis import strategies as st
from oracles_shift import F64, log_density

import modeseek as ms

SIDE = st.floats(-4, 4)


@given(st.lists(SIDE, min_size=2, max_size=2), st.lists(SIDE, min_size=2, max_size=2), st.floats(0.2, 2.0))
def test_the_distance_to_the_target_bounds_the_log_density_from_below(start, end, h):
    """EM's bound: `log p_h(z') >= log p_h(z) + (|z - D|^2 - |z' - D|^2) / (2 h^2)`, with equality at z' = z."""
    z, other = tensor(start), tensor(end)
    target = z + ms.shift(prior_of(three_gaussians()), z, h)
    before, after = log_density(three_gaussians(), z, h), log_density(three_gaussians(), other, h)
    bound = before + ((z - target).square().sum() - (other - target).square().sum()) / (2 * h**2)
    assert after >= bound - 1e-9


class Mixed(ms.generators.BaseGenerator):
    """Points whose coordinates share their parameters badly: steps of gradient descent lag behind the targets."""

    n_items = 1

    def __init__(self, z: torch.Tensor) -> None:
        super().__init__()
        self.matrix = tensor([1.0, 0.9], [0.9, 1.0])
        self.theta = torch.nn.Parameter(torch.linalg.solve(self.matrix, z.T).T)

    def forward(self, view: ms.View) -> torch.Tensor:
        return self.theta @ self.matrix.T


@pytest.mark.slow
def test_inner_steps_climb_the_smoothed_density_faster_and_never_fall():
    h, start, climbed = 0.6, tensor([0.4, -0.6], [-2.5, 1.0], [1.0, -1.0], [3.0, 3.0]), {}
    for inner_steps in (1, 8):
        points = Mixed(start)
        optimizer = torch.optim.SGD(points.parameters(), lr=0.25)  # below 1 / the largest eigenvalue squared
        heights = [log_density(three_gaussians(), start, h)]
        for _ in ms.distill(
            points,
            prior_of(three_gaussians()),
            ms.MSD(ms.Fixed(h)),
            optimizer,
            steps=40,
            inner_steps=inner_steps,
            rng=generator(),
        ):
            z = points(ms.View(items=(0,))).detach()
            heights.append(log_density(three_gaussians(), z, h))
        rise = torch.stack(heights).diff(dim=0)
        assert rise.dtype == F64 and (rise >= -1e-12).all()
        climbed[inner_steps] = heights[-1]
    assert (climbed[8] > climbed[1] + 1e-3).any() and (climbed[8] >= climbed[1] - 1e-9).all()
