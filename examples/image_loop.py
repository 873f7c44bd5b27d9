"""Text to image in a loop of your own: any generator, any optimizer, any method."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import modeseek as ms
from modeseek.io.images import encode_png


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompt", nargs="?", default="a red cone on a blue cube")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("image.png"))
    options = parser.parse_args()

    prior = ms.Pipeline.load("scenes")
    field = ms.Field(1, (64, 64), rng=0).to(prior.device)  # a network from coordinates to colours
    optimizer = torch.optim.Adam(field.parameters(), lr=0.02)
    rate = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, options.steps)
    method = ms.MSD(ms.Along(ms.noise_levels.Annealed(0.98, 0.02)), weight=ms.weights.alpha_sigma, jitter=ms.Until(0.7))
    loop = ms.distill(
        field,
        ms.Guided(prior, 3.0),
        method,
        optimizer,
        steps=options.steps,
        inner_steps=4,  # of the optimizer towards each target: prior calls are what costs
        conditions=options.prompt,
        rng=0,
    )
    for step in loop:
        rate.step()
        if step.index % 20 == 0:
            print(f"step {step.index}: relative shift {step.direction.logs['relative_shift'].item():.3f}")
    options.out.write_bytes(encode_png(field.render(512, 512)[0]))  # a field has any resolution
    print(options.out)


if __name__ == "__main__":
    main()
