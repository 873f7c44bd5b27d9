"""DPM-Solver++(2M) against its recursion written anew, on times of uneven spacing."""

from __future__ import annotations

import math

import pytest
import torch
from cases_shift import SCHEDULES, gaussian, prior_of
from oracles_shift import F64, level

import modeseek as ms

MEAN, STD = 0.7, 0.6
TIMES = [0.95, 0.9, 0.6, 0.55, 0.2, 0.15]


@pytest.mark.parametrize("schedule", ["VP", "Cosine", "Flow", "VE"])
def test_uneven_steps_are_weighed_by_their_width_in_log_snr(schedule):
    """Lu et al. 2022, algorithm 2, in lambda = log(alpha / sigma)."""
    levels = [level(schedule, t) for t in TIMES]
    width = [math.log(b[0] / b[1]) - math.log(a[0] / a[1]) for a, b in zip(levels[:-1], levels[1:], strict=True)]
    x, before = 1.3, None
    for i, ((a, s), (a_next, s_next)) in enumerate(zip(levels[:-1], levels[1:], strict=True)):
        z = MEAN + a * STD**2 / (a**2 * STD**2 + s**2) * (x - a * MEAN)
        ahead = z
        if before is not None:
            r = width[i - 1] / width[i]
            ahead = (1 + 1 / (2 * r)) * z - before / (2 * r)
        x = s_next / s * x - a_next * (math.exp(-width[i]) - 1) * ahead
        before = z
    prior = prior_of(gaussian([MEAN], [[STD**2]]), SCHEDULES[schedule])
    result = ms.dpmpp_2m(prior, torch.full((1, 1), 1.3, dtype=F64), torch.tensor(TIMES, dtype=F64))
    assert result.item() == pytest.approx(x, rel=1e-9)
