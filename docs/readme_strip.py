"""First image of README.md: `python docs/readme_strip.py` writes docs/strip.webp from the runs of the gallery.

Three prompts, a row each: the image while SDS and while MSD optimise it, and the turning volume that MSD made of it.
`python docs/gallery.py` makes the runs, in runs/gallery.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import torch
from gallery_runs import IMAGES, MODELS, PROMPTS

ROWS = ("a red cone on a blue cube", "a green robot head", "a purple mug")
SIDE, GAP, LINE = 168, 8, 26  # pixels
FRAMES, MOVING, SECONDS = 36, 26, 3.6  # frames in all, those in which the images still move
BACKGROUND, INK = (255, 255, 255), (27, 31, 36)
HEADINGS = ("SDS, step {step} of 100", "MSD, step {step} of 100", "MSD, in 3D")


def write(folder: Path, out: Path) -> None:
    """Writes the strip.

    Raises:
        ValueError: a run is missing or unfinished.
        OSError: a file cannot be read.
    """
    films = {method: film(folder / IMAGES["scenes"][method].name) for method in ("sds", "msd")}
    turns = [turn(folder / MODELS[prompt].name) for prompt in ROWS]
    frames = [frame(k, films, turns) for k in range(FRAMES)]
    duration = round(1000 * SECONDS / FRAMES)
    frames[0].save(
        out, "WEBP", save_all=True, append_images=frames[1:], duration=duration, loop=0, quality=72, method=6
    )


def frame(k: int, films: dict[str, list[tuple[int, list[Any]]]], turns: list[list[Any]]) -> Any:
    """Frame k of the strip."""
    from PIL import Image, ImageDraw, ImageFont

    width, height = 3 * (SIDE + GAP) + GAP, LINE + len(ROWS) * (SIDE + GAP + LINE) + GAP
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    pen, font, small = ImageDraw.Draw(sheet), ImageFont.load_default(15), ImageFont.load_default(14)
    for column, heading in enumerate(HEADINGS):
        steps = films["msd" if column else "sds"]
        step = steps[place(k, len(steps))][0]
        pen.text((GAP + column * (SIDE + GAP), 6), heading.format(step=step), fill=INK, font=small)
    for row, prompt in enumerate(ROWS):
        top = LINE + row * (SIDE + GAP + LINE)
        pen.text((GAP, top + SIDE + 4), f"“{prompt}”", fill=INK, font=font)
        cells = [films[method][place(k, len(films[method]))][1][row] for method in ("sds", "msd")]
        for column, image in enumerate((*cells, turns[row][k])):
            sheet.paste(image, (GAP + column * (SIDE + GAP), top))
    return sheet


def place(k: int, n: int) -> int:
    """Index of frame k among n previews: they follow each other until the images rest."""
    return min(n - 1, round(k * (n - 1) / MOVING))


def film(path: Path) -> list[tuple[int, list[Any]]]:
    """Previews of a run of all prompts: step, and the image of each row, cut from the sheet."""
    from PIL import Image

    prompts = PROMPTS["scenes"]
    columns = math.ceil(math.sqrt(len(prompts)))
    steps = []
    for file in sorted((path / "previews").glob("step-*.png")):
        sheet = Image.open(file).convert("RGB")
        pitch = sheet.width / columns
        cells = []
        for prompt in ROWS:
            index = prompts.index(prompt)
            x, y = (index % columns) * pitch, (index // columns) * pitch
            cells.append(sheet.crop((round(x) + 2, round(y) + 2, round(x + pitch) - 1, round(y + pitch) - 1)))
        steps.append((int(file.stem.split("-")[1]), [c.resize((SIDE, SIDE), Image.Resampling.LANCZOS) for c in cells]))
    if not steps:
        raise ValueError(f"{path} must be a finished run, got none; run docs/gallery.py")
    return steps


def turn(path: Path) -> list[Any]:
    """Frames of a full turn of a run's volume."""
    from PIL import Image

    from modeseek.rundir.run_dir import Run
    from modeseek.runs.export_run import as_3d
    from modeseek.runs.render_run import RenderSettings
    from modeseek.runs.trained import load_trained

    generator = as_3d(load_trained(Run.load(path), "cpu"), "a turn")
    cameras = RenderSettings(size=SIDE, frames=FRAMES).cameras(generator)
    with torch.no_grad():
        frames = [image.clamp(0, 1) for image in generator.render_frames(cameras, SIDE)]
    return [Image.fromarray((255 * image.permute(1, 2, 0)).round().byte().numpy()) for image in frames]


if __name__ == "__main__":
    try:
        write(Path(sys.argv[1] if sys.argv[1:] else "runs/gallery"), Path(__file__).parent / "strip.webp")
    except (ValueError, OSError) as error:
        sys.exit(f"readme_strip: {error}")
