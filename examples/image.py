"""Text to image: an image for each prompt, with the run behind them (report, checkpoints, film)."""

from __future__ import annotations

import argparse
from pathlib import Path

import modeseek as ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompts", nargs="*", default=["a red cone on a blue cube", "a green robot head"])
    parser.add_argument("--prior", default="scenes", help="scenes, emoji, or a folder or hub name of a diffusers model")
    parser.add_argument("--method", default="msd", help="msd, sds, sdi ...: modeseek list methods")
    parser.add_argument("--steps", type=int, help="default: 100, half a minute on two cores")
    parser.add_argument("--out", type=Path, default=Path("images"))
    options = parser.parse_args()

    prior = ms.Pipeline.load(options.prior)  # on the fastest device of this machine
    result = ms.image(options.prompts, prior, options.method, steps=options.steps, seed=0, out=options.out / "run")
    for prompt, image in zip(options.prompts, result.images, strict=True):
        path = options.out / f"{prompt.replace(' ', '-')}.png"
        image.resize((512, 512)).save(path)
        print(f"{prompt}: {path}")
    print(f"film: {result.video(options.out / 'film.mp4')}")
    print(f"report: {result.run.path / 'report.html'}")


if __name__ == "__main__":
    main()
