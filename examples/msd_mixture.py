"""Mean-shift distillation on a 2-D mixture whose modes are known."""

from __future__ import annotations

import torch

import modeseek as ms


def main() -> None:
    # Three Gaussians under Stable Diffusion's noise schedule; the prior is exact at every noise level.
    means = torch.tensor([[-1.5, 0.0], [1.0, 1.0], [0.5, -1.2]], dtype=torch.float64)
    widths = torch.tensor([0.2, 0.3, 0.15], dtype=torch.float64)
    covs = widths[:, None, None] ** 2 * torch.eye(2, dtype=torch.float64)
    prior = ms.Counting(ms.GaussianMixture(torch.tensor([0.5, 0.3, 0.2]), means, covs, schedule=ms.VP()))

    rng = torch.Generator().manual_seed(0)
    points = ms.Points(2 * torch.randn(50, 2, generator=rng, dtype=torch.float64))

    # The bandwidth falls to 0.1 as each point converges; SGD with learning rate 1 is the mean-shift iteration.
    method = ms.MSD(bandwidth=ms.Adaptive(end=0.1, settle=0.5), tol=1e-6)
    optimizer = torch.optim.SGD(points.parameters(), lr=1.0)
    for step in ms.distill(points, prior, method, optimizer, steps=150, rng=rng):
        if step.index % 50 == 0:
            print(f"step {step.index:3d}: mean |direction| {step.direction.grad.norm(dim=1).mean():.2e}")

    z = points.z.detach()
    certificate = ms.certify(prior.prior, z, 0.1)
    print(f"{prior.calls / len(z):.0f} prior calls per point")
    print(f"largest distance to a mean: {torch.cdist(z, means).amin(1).max():.1e}")
    print(f"certified modes: {int(certificate.is_mode.sum())} of {len(z)}")


if __name__ == "__main__":
    main()
