"""Parts of `gpu.py`: the empirical prior over two matrix products, and mean shift of a million points."""

from __future__ import annotations

from typing import Any

import torch
from _gpu_measure import measure

import modeseek as ms

BANDWIDTHS = (0.1, 1.0, 4.0, 20.0)


def empirical(device: str, quick: bool) -> dict[str, Any]:
    """Returns seconds of one call on 50,000 x 3,072 data, batch 64, and the share of its two products in float32."""
    n, d, batch = (400, 64, 8) if quick else (50_000, 3_072, 64)
    rng = torch.Generator().manual_seed(0)
    data, noise = torch.randn(n, d, generator=rng).to(device), torch.randn(batch, d, generator=rng).to(device)
    weights, one = torch.rand(batch, n, generator=rng).to(device), torch.ones(batch, device=device)
    prior = ms.Empirical(data)
    rows: dict[str, Any] = {}
    for h in BANDWIDTHS:
        z = data[:batch] + h * noise
        products = measure(lambda z=z: (z @ data.T, weights @ data), device, 0.0 if quick else 1.0)
        call = measure(lambda z=z, h=h: prior.at(z, one, h * one), device, 0.0 if quick else 1.0)
        rows[f"h = {h:g}"] = {"products": products, "call": call}
        if call["seconds"] is not None:
            rows[f"h = {h:g}"]["share"] = products["seconds"] / call["seconds"]
    return rows


def mean_shift_of_many(device: str, quick: bool) -> dict[str, Any]:
    """Returns seconds of one mean-shift step of a million points, each towards 10,000 data in the plane."""
    points, n, block = (2_000, 500, 512) if quick else (1_000_000, 10_000, 2**14)
    rng = torch.Generator().manual_seed(0)
    data = torch.randn(n, 2, generator=rng, dtype=torch.float64).to(device)
    z = torch.randn(points, 2, generator=rng, dtype=torch.float64).to(device)
    prior = ms.Empirical(data)

    def step() -> None:
        for part in z.split(block):
            ms.shift(prior, part, 0.1)

    row = measure(step, device, 0.0 if quick else 2.0, 2 if quick else 20)
    return {"points": points, "data": n, "step": row}
