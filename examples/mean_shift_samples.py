"""Clustering of raw samples by Gaussian mean shift, without training a prior."""

from __future__ import annotations

import torch

import modeseek as ms


def main() -> None:
    rng = torch.Generator().manual_seed(0)
    centers = torch.tensor([[-2.0, 0.0], [2.0, 0.5], [0.0, 3.0]])
    samples = centers.repeat(200, 1) + 0.4 * torch.randn(600, 2, generator=rng)

    # Mean shift from every sample on the kernel density estimate of all samples; equal end points are one mode.
    modes = ms.find_modes(samples, bandwidth=0.5, n_starts=len(samples), rng=rng)
    for (x, y), weight in zip(modes.z.tolist(), modes.weight.tolist(), strict=True):
        print(f"mode at ({x:+.2f}, {y:+.2f}) holds {weight:.0%} of the samples")

    # Mean shift from given points: end point, number of kernel sums, convergence.
    result = ms.mean_shift(samples, torch.tensor([[-3.0, -3.0], [3.0, 3.0]]), bandwidth=0.5)
    ends, counts, flags = result.z.tolist(), result.steps.tolist(), result.converged.tolist()
    for (x, y), steps, converged in zip(ends, counts, flags, strict=True):
        print(f"({x:+.2f}, {y:+.2f}) after {steps} steps, converged: {converged}")


if __name__ == "__main__":
    main()
