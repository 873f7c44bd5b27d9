"""Cluster raw samples by Gaussian mean shift: no prior is trained, the samples are one."""

from __future__ import annotations

import torch

import modeseek as ms


def main() -> None:
    rng = torch.Generator().manual_seed(0)
    centers = torch.tensor([[-2.0, 0.0], [2.0, 0.5], [0.0, 3.0]])
    samples = centers.repeat(200, 1) + 0.4 * torch.randn(600, 2, generator=rng)

    # Every sample climbs the kernel density estimate of all samples; those that meet are one mode.
    modes = ms.find_modes(samples, bandwidth=0.5, n_starts=len(samples), rng=rng)
    for place, weight in zip(modes.z.tolist(), modes.weight.tolist(), strict=True):
        print(f"mode at ({place[0]:+.2f}, {place[1]:+.2f}) holds {weight:.0%} of the samples")

    # From points of your own: where they end, how many kernel sums each took, and whether they arrived.
    ended = ms.mean_shift(samples, torch.tensor([[-3.0, -3.0], [3.0, 3.0]]), bandwidth=0.5)
    for place, steps, arrived in zip(ended.z.tolist(), ended.steps.tolist(), ended.converged.tolist(), strict=True):
        print(f"({place[0]:+.2f}, {place[1]:+.2f}) after {steps} steps, arrived: {arrived}")


if __name__ == "__main__":
    main()
