"""Text to 3D: a NeRF for a prompt, its mesh and a turntable, with the run behind them."""

from __future__ import annotations

import argparse
from pathlib import Path

import modeseek as ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompt", nargs="?", default="a red cone on a blue cube")
    parser.add_argument("--prior", default="scenes", help="scenes, emoji, or a folder or hub name of a diffusers model")
    parser.add_argument("--steps", type=int, help="default: 100, two minutes on two cores")
    parser.add_argument("--size", type=int, default=512, help="side of the turntable, pixels")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("shape"))
    options = parser.parse_args()

    method = ms.MSD(ms.Along(ms.noise_levels.Annealed(0.98, 0.1)), weight=ms.weights.alpha_sigma, jitter=ms.Until(0.7))
    result = ms.shape(
        options.prompt, options.prior, method, steps=options.steps, seed=0, film="none", out=options.out / "run"
    )
    mesh = result.mesh(resolution=128)
    for suffix in ("glb", "ply", "stl"):
        print(f"mesh: {mesh.save(options.out / f'mesh.{suffix}')}")
    print(mesh.summary)
    print(f"turntable: {result.turntable(options.out / 'turntable.mp4', options.size, options.frames)}")
    print(f"report: {result.run.path / 'report.html'}")


if __name__ == "__main__":
    main()
