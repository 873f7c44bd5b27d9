"""Score distillation in a custom training loop: a method's direction as the gradient of a surrogate loss."""

from __future__ import annotations

import torch
from torch import nn

import modeseek as ms


def main() -> None:
    rng = torch.Generator().manual_seed(0)
    angle = 2 * torch.pi * torch.arange(8) / 8
    means = 1.5 * torch.stack([angle.cos(), angle.sin()], 1)
    prior = ms.GaussianMixture(torch.full((8,), 1 / 8), means, 0.1**2 * torch.eye(2).expand(8, 2, 2))

    # Any differentiable function can render z: here a small network maps codes to points.
    codes = torch.randn(64, 4, generator=rng)
    renderer = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 2))
    for parameter in renderer.parameters():
        nn.init.normal_(parameter, std=0.5, generator=rng)
    optimizer = torch.optim.Adam(renderer.parameters(), lr=0.03)

    # Other methods: ms.SDI(), or ms.MSD(ms.Geometric(1.0, 0.1)).
    method = ms.SDS(ms.noise_levels.Annealed(0.9, 0.05), weight=ms.weights.sigma_over_alpha)
    state, steps = None, 1500
    for index in range(steps):
        z = renderer(codes)
        state = method.init(z.detach(), prior) if index == 0 else state
        direction, state = method.step(z, prior, state, progress=index / (steps - 1), rng=rng)
        loss = ms.surrogate(z, direction.grad) + 1e-4 * z.square().mean()  # your own penalties add up as usual
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    z = renderer(codes).detach()
    print(f"median distance to the nearest mean: {torch.cdist(z, means).amin(1).median():.3f}")
    print(f"mean log density: {prior.log_prob(z).mean():.2f}")


if __name__ == "__main__":
    main()
