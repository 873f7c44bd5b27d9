"""VSD with camera-conditioned phi keeps the NeRFs of an ensemble apart, where SDS makes them alike."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import modeseek as ms
from modeseek.methods import POSE_NUMBERS, MLPAuxiliary, pose

SIZE, PARTICLES = 8, 4


def coloured_discs() -> Tensor:
    """Four images of a disc on white, red, green, blue and yellow, in [-1, 1]."""
    ys, xs = torch.meshgrid(torch.linspace(-1, 1, SIZE), torch.linspace(-1, 1, SIZE), indexing="ij")
    disc = (ys**2 + xs**2 < 0.55).float()
    colours = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9], [0.9, 0.9, 0.1]])
    return 2 * (disc * colours[:, :, None, None] + 1 - disc) - 1


def difference(method: ms.Method, seed: int) -> float:
    """Root mean square difference of the views of two particles, mean over the pairs; they begin alike."""
    prior = ms.Empirical(coloured_discs(), ms.VP())
    nerfs = ms.Ensemble([ms.NeRF(ms.generators.Dense((8,)), size=SIZE, samples=12) for _ in range(PARTICLES)])
    optimizer = torch.optim.Adam(nerfs.parameters(), lr=0.1)
    codec = ms.codec.RangeCodec()
    for _ in ms.distill(nerfs, prior, method, optimizer, steps=80, batch=2 * PARTICLES, codec=codec, rng=seed):
        pass
    with torch.no_grad():
        views = nerfs(nerfs.preview_view()).image.unflatten(0, (PARTICLES, -1))
    pairs = [(i, j) for i in range(PARTICLES) for j in range(i)]
    return float(torch.stack([(views[i] - views[j]).square().mean().sqrt() for i, j in pairs]).mean())


@pytest.mark.slow
def test_nerfs_differ_more_under_vsd_than_under_sds():
    vsd = ms.VSD(scale=1.0, auxiliary=MLPAuxiliary(cameras=POSE_NUMBERS), camera=pose)
    seeds = range(2)
    apart, alike = (sum(difference(method, seed) for seed in seeds) / 2 for method in (vsd, ms.SDS()))
    assert apart > 1.5 * alike > 0, (apart, alike)
