"""Pictures of docs/bundled_priors.md: `python docs/bundled_priors.py [scenes|emoji ...]` writes docs/prior_NAME.png.

Each has one column per prompt and one row per way: plain samples, then images that methods optimised with the default
settings of `modeseek image`. The commands are printed as they run; their run folders lie in runs/bundled_priors.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

DOCS = Path(__file__).parent
PROMPTS = {
    "scenes": (
        *("a red cone on a blue cube", "a green robot head", "a small yellow duck", "a purple mug"),
        *("an orange car, from 30 degrees left", "a pink chair, side view", "a blue house", "a red mushroom"),
    ),
    "emoji": (
        *("an owl", "a red apple", "a grinning face", "a cactus", "an umbrella", "a strawberry, flat emoji"),
        *("a pizza, shaded emoji", "a whale, on a pale yellow background"),
    ),
}
ENLARGED = 2  # times, without smoothing
GAP = 4  # pixels


def make_rows(name: str, methods: Sequence[str], steps: int | None, folder: Path) -> list[list[Path]]:
    """Runs the commands and returns the files of their images, one list per row."""
    from modeseek.cli import main

    commands = [["sample", *PROMPTS[name]]]
    given = [] if steps is None else ["--steps", str(steps)]
    commands += [["image", *PROMPTS[name], "--method", method, *given] for method in methods]
    rows = []
    for command in commands:
        out = Path(tempfile.mkdtemp(dir=folder)) / "run"
        argv = [*command, "--prior", name, "--out", str(out)]
        print(f"modeseek {shlex.join(argv)}")
        main(argv)
        rows.append(image_files(out))
    return rows


def image_files(run: Path) -> list[Path]:
    """PNG files of the images of a run folder, in the order of its prompts; earlier versions numbered them."""
    from modeseek.rundir.run_dir import Run
    from modeseek.runs.image_files import image_names

    numbered = sorted((run / "exports").glob("image-*.png"))
    if numbered:
        return numbered
    settings = Run(run).settings
    return [run / "exports" / f"{name}.png" for name in image_names(settings["prompts"], settings["seed"])]


def paste_rows(rows: Sequence[Sequence[Path]], columns: int, path: Path) -> None:
    """Writes the first images of all rows as one image, a PNG or a WebP file by the ending of its name."""
    from PIL import Image

    with Image.open(rows[0][0]) as first:
        width, height = (ENLARGED * side for side in first.size)
    sheet = Image.new("RGB", (columns * (width + GAP) - GAP, len(rows) * (height + GAP) - GAP), "white")
    for i, row in enumerate(rows):
        for k in range(columns):
            with Image.open(row[k]) as image:
                enlarged = image.convert("RGB").resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (k * (width + GAP), i * (height + GAP)))
    sheet.save(path, **({"quality": 88, "method": 6} if path.suffix == ".webp" else {"optimize": True}))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "names", nargs="*", choices=[*PROMPTS], default=[*PROMPTS], metavar="NAME", help="scenes, emoji; default both"
    )
    parser.add_argument("--methods", nargs="*", default=["sds", "msd"], help="methods, one row each; default sds msd")
    parser.add_argument("--steps", type=int, help="number of optimisation steps; default that of modeseek image")
    parser.add_argument("--out", type=Path, default=DOCS, metavar="FOLDER", help="folder of the images")
    args = parser.parse_args()
    folder = Path("runs", "bundled_priors")
    folder.mkdir(parents=True, exist_ok=True)
    for name in args.names or PROMPTS:
        rows = make_rows(name, args.methods, args.steps, folder)
        paste_rows(rows, len(PROMPTS[name]), args.out / f"prior_{name}.png")
        print(f"{args.out / f'prior_{name}.png'}: samples, {', '.join(args.methods)}")


if __name__ == "__main__":
    main()
