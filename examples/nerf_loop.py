"""Text to 3D in a loop of your own: a NeRF, view-dependent prompts, a mesh."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import modeseek as ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompt", nargs="?", default="a red cone on a blue cube")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--resolution", type=int, default=96, help="of the mesh")
    parser.add_argument("--out", type=Path, default=Path("mesh.glb"))
    options = parser.parse_args()

    prior = ms.Pipeline.load("scenes")
    nerf = ms.NeRF(ms.generators.Dense((32,)), size=64).to(prior.device)
    views = ms.ViewPrompts().encode(prior, [options.prompt])  # front, side, back and overhead view of each camera
    optimizer = torch.optim.Adam(nerf.parameters(), lr=0.25, betas=(0.9, 0.99))
    rate = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.2, options.steps)
    method = ms.MSD(ms.Along(ms.noise_levels.Annealed(0.98, 0.1)), weight=ms.weights.alpha_sigma, jitter=ms.Until(0.7))
    loop = ms.distill(
        nerf,
        ms.Guided(prior, 3.0),
        method,
        optimizer,
        steps=options.steps,
        batch=4,  # cameras a step
        inner_steps=2,
        conditions=ms.camera_conditions.CameraConditions(views),
        regularizers=[ms.regularizers.Sparsity(0.1)],
        rng=0,
    )
    for step in loop:
        rate.step()
        if step.index % 20 == 0:
            print(f"step {step.index}: relative shift {step.direction.logs['relative_shift'].mean():.3f}")
    mesh, summary = nerf.extract_mesh(options.resolution)
    print(summary)
    print(*ms.save_mesh(mesh, options.out))


if __name__ == "__main__":
    main()
