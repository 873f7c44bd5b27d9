"""Gallery of the docs, by one command: `python docs/gallery.py` makes the runs, then the page and its files.

The runs of `gallery_runs.py` lie in runs/gallery; a finished one is not made again, an interrupted one is resumed. From
their folders come docs/gallery.md and, in docs/gallery/, what it and the landing page show: images, six models to turn,
animations. With --pages no run is made: all must be there.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gallery_runs import ALL, DRAWINGS, DRAWN, IMAGES, MODELS, PLANES, PROMPTS, GalleryRun

DOCS = Path(__file__).parent
RUNS = Path("runs") / "gallery"
MAX_WIDTH = 760  # of images of other pages, pixels
COLOURS = 256
SIDE = 320  # of animations, pixels
MESH_RESOLUTION = 56
WIDTH = 88  # of commands, characters
INTRODUCTION = """# Gallery

All of this was made on a CPU, by the commands that stand beside it and nothing else; `python docs/gallery.py` makes the
runs, this page and the images of the landing page again.
"""
IMAGES_INTRODUCTION = """## Text to image

Twelve prompts, six for each [prior that ships](bundled_priors.md), by three methods, all from seed 0 with the defaults
of `modeseek image`. Each image is a coordinate network of 64 x 64 pixels. SDI inverts in three steps without guidance
here: ten guided ones, its authors' setting, give noise under these priors.
"""
MODELS_INTRODUCTION = """## Text to 3D

Six volumes (NeRF) by MSD under the prior `scenes`, which saw images only; each mesh is the `mesh.glb` of its run on a
coarser grid. Drag them.
"""
DRAWINGS_INTRODUCTION = """## Text to SVG

Twelve prompts under the prior `emoji`, one [SVG file](vector.md) each, by MSD from a fitted sample.
"""
DRAWINGS_WIDTH = 6  # drawings in a row of the table
EDITS = """## Edits

Six images and two [edits](edit.md) of each by DDS in 50 steps; `python docs/edit_pictures.py` makes them.

![A grinning face made sad, an apple made green, a cone, mugs, robots and houses in other colours](edit.webp)
"""
PAINTED_AND_RESTORED = """## Painted meshes, restored images, photographs

Five meshes [painted](paint.md) for a prompt, each from six sides; `python docs/paint_pictures.py` makes them.

![An orange car, a red cone on a blue cube, a green robot head, a yellow duck and a purple mug, painted](paint.webp)

Two images, each with a hole, down-sampled and blurred, [restored](restore.md) under a prior;
`python docs/restore_pictures.py` makes them.

![Two images, each with a hole, down-sampled and blurred: the data, the restored image, the truth](restore.webp)

Views of two objects that their [photographs](photographs.md) do not show, without and with the prior;
`python docs/photographs_pictures.py` makes them.

![A duck and a cone on a cube from held-out cameras: the truth, without and with the prior](photographs.webp)
"""
PLANES_INTRODUCTION = """## Densities in the plane

The priors are exact here, so that one sees what a method does rather than what a network knows.
"""


def make_runs(folder: Path, runs: Sequence[GalleryRun] | None = None) -> None:
    """Makes the runs that are not finished, by default all of the gallery, or resumes them."""
    from modeseek.cli import main
    from modeseek.rundir.status import read_status

    for run in ALL if runs is None else runs:
        path = folder / run.name
        if not (path / "status.json").exists():
            argv = [*run.arguments, "--out", path.as_posix()]
        elif read_status(path).state != "finished":
            argv = ["resume", path.as_posix()]
        else:
            continue
        print(f"modeseek {shlex.join(argv)}", flush=True)
        main(argv)


def check_run(path: Path, run: GalleryRun) -> Path:
    """The folder of a finished run.

    Raises:
        ValueError: the run is not finished, or was made by other arguments.
        OSError: the folder is not a run.
    """
    from modeseek.rundir.status import read_status

    state = read_status(path).state
    if state != "finished":
        raise ValueError(f"{path.name} is {state}: runs of the gallery must be finished; try python docs/gallery.py")
    typed = shlex.split(typed_command(path))[1:]
    if tuple(typed[: len(run.arguments)]) != run.arguments:
        raise ValueError(f"{path.name} was made by modeseek {shlex.join(typed)}; move its folder away to make it again")
    return path


def typed_command(folder: Path) -> str:
    """The command line of a run.

    Raises:
        ValueError: the command contains a path of this machine.
    """
    command = (folder / "command.txt").read_text().strip()
    if re.search(r"(^|[\s=:'\"])(/|~|[A-Za-z]:\\)", command):
        raise ValueError(f"{folder.name} was made with a path of this machine: {command}; run it with relative paths")
    return command


def costs(folder: Path, runs: Sequence[GalleryRun]) -> str:
    """Prior calls and seconds of runs, one sentence, and on what they were made."""
    from modeseek.rundir.status import read_status

    statuses = {run.name: read_status(folder / run.name) for run in runs}
    parts = [f"{name} {status.calls:,} prior calls, {status.seconds:.0f} s" for name, status in statuses.items()]
    environments = [json.loads((folder / run.name / "env.json").read_text()) for run in runs]
    devices = sorted({_device(environment["device"]) for environment in environments})
    versions = sorted({environment["versions"]["modeseek"] for environment in environments})
    where = f"on a shared machine ({', '.join(devices)}), modeseek {', '.join(versions)}"
    return f"{'; '.join(parts)}; {where}."


def _device(environment: Mapping[str, Any]) -> str:
    threads = environment.get("threads")
    return environment["device"] + (f", {threads} thread{'s' * (threads != 1)}" if threads else "")


def shrink(path: Path) -> bytes:
    """The image as a PNG of 256 colours, at most `MAX_WIDTH` wide."""
    from PIL import Image

    with Image.open(path) as image:
        image = image.convert("RGB")
        if image.width > MAX_WIDTH:
            image = image.resize((MAX_WIDTH, round(image.height * MAX_WIDTH / image.width)), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def final_images(folder: Path) -> list[Any]:
    """Images of a run in the order of its prompts, at twice their size."""
    import numpy as np
    from PIL import Image

    values = np.load(folder / "exports" / "images.npy", allow_pickle=False)
    pixels = np.round(values.clip(0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return [Image.fromarray(each).resize((128, 128), Image.Resampling.LANCZOS) for each in pixels]


def drawings(folder: Path) -> list[str]:
    """SVG files of a run in the order of its prompts."""
    from modeseek.rundir.drawing_records import read_records

    return [(folder / "exports" / record.file).read_text() for record in read_records(folder)]


def animation(folder: Path) -> bytes:
    """Previews of a run as an animated WebP; the last one stays two seconds."""
    from PIL import Image

    frames = [Image.open(path).convert("RGB") for path in sorted((folder / "previews").glob("step-*.png"))]
    frames = [frame.resize((SIDE, SIDE), Image.Resampling.LANCZOS) for frame in frames]
    out = io.BytesIO()
    durations = [120] * (len(frames) - 1) + [2000]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=70)
    return out.getvalue()


def model_html(folder: Path, prompt: str) -> str:
    """The viewer of a run's mesh, for the scripts `mesh_viewer.js` and `model_viewer.js` of the page."""
    import torch

    from modeseek.generators.mesh.read import read_mesh
    from modeseek.reports.mesh_viewer import MeshView
    from modeseek.reports.page import render_fragment
    from modeseek.rundir.run_dir import Run
    from modeseek.runs.export_run import export_mesh

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "mesh.ply"
        export_mesh(Run.load(folder), path, MESH_RESOLUTION, device="cpu")
        mesh = read_mesh(path, torch.empty(0))
    return render_fragment("model", "model_view", MeshView.of(mesh, prompt))


def webp(image: Any) -> bytes:
    """The image as a WebP file."""
    out = io.BytesIO()
    image.save(out, "WEBP", quality=88, method=6)
    return out.getvalue()


def strip(rows: Sequence[Sequence[Any]], gap: int = 4) -> Any:
    """Images of one size side by side, a row below the other."""
    from PIL import Image

    width, height = (side + gap for side in rows[0][0].size)
    sheet = Image.new("RGB", (width * len(rows[0]) - gap, height * len(rows) - gap), "white")
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            sheet.paste(image, (column * width, row * height))
    return sheet


def build_files(folder: Path) -> dict[str, bytes]:
    """Content of the files in docs/gallery, by name."""
    files: dict[str, bytes] = {}
    for runs in IMAGES.values():
        for run in runs.values():
            images = final_images(check_run(folder / run.name, run))
            files |= {f"{run.name}-{index}.webp": webp(image) for index, image in enumerate(images)}
    for prompt, run in MODELS.items():
        files[f"{run.name}.html"] = model_html(check_run(folder / run.name, run), prompt).encode()
    for index, text in enumerate(drawings(check_run(folder / DRAWINGS.name, DRAWINGS))):
        files[f"{DRAWINGS.name}-{index}.svg"] = text.encode()
    for run in PLANES:
        files[f"{run.name}.webp"] = animation(check_run(folder / run.name, run))
    landing = [final_images(folder / runs["msd"].name) for runs in IMAGES.values()]
    files["landing.webp"] = webp(strip([row[:3] for row in landing]))
    return files


def page(folder: Path) -> str:
    """The page as Markdown."""
    parts = [INTRODUCTION, IMAGES_INTRODUCTION]
    for prior, runs in IMAGES.items():
        rows = [["", *PROMPTS[prior]]]
        rows += [
            [method.upper(), *(f"![{prompt}, {method.upper()}](gallery/{run.name}-{index}.webp)"
                               for index, prompt in enumerate(PROMPTS[prior]))]
            for method, run in runs.items()
        ]  # fmt: skip
        parts.append(f"### {prior.capitalize()}\n\n{_list_table(rows)}")
        parts.append(_commands(folder, list(runs.values())))
    parts.append(MODELS_INTRODUCTION)
    models = "\n".join(f"```{{raw}} html\n:file: gallery/{run.name}.html\n```\n" for run in MODELS.values())
    parts.append(f"::::{{container}} models\n{models}::::\n")
    parts.append(_commands(folder, list(MODELS.values())))
    parts.append(DRAWINGS_INTRODUCTION)
    for start in range(0, len(DRAWN), DRAWINGS_WIDTH):
        chunk = range(start, min(start + DRAWINGS_WIDTH, len(DRAWN)))
        images = [f"![{DRAWN[k]}, drawing](gallery/{DRAWINGS.name}-{k}.svg)" for k in chunk]
        parts.append(_list_table([["", *(DRAWN[k] for k in chunk)], ["MSD", *images]]))
    parts.append(_commands(folder, [DRAWINGS]))
    parts += [EDITS, PAINTED_AND_RESTORED, PLANES_INTRODUCTION]
    cards = [f":::{{container}} card\n![{run.name}](gallery/{run.name}.webp)\n\n{run.note}\n:::\n" for run in PLANES]
    parts.append(f"::::{{container}} cards\n{''.join(cards)}::::\n")
    parts.append(_commands(folder, PLANES))
    return "\n".join(parts)


def _list_table(rows: Sequence[Sequence[str]]) -> str:
    cells = "\n".join(f"{'  -' if k else '* -'} {cell}" for row in rows for k, cell in enumerate(row))
    return f"```{{list-table}}\n:header-rows: 1\n:stub-columns: 1\n:class: gallery\n\n{cells}\n```\n"


def _commands(folder: Path, runs: Sequence[GalleryRun]) -> str:
    """Commands and costs of runs."""
    lines = "\n".join(_wrap(["modeseek", *run.arguments]) for run in runs)
    return f"```sh\n{lines}\n```\n\n{costs(folder, runs)}\n"


def _wrap(arguments: Sequence[str]) -> str:
    """A command on lines of at most `WIDTH` characters, broken between arguments."""
    lines = [""]
    for argument in map(shlex.quote, arguments):
        if lines[-1] and len(lines[-1]) + len(argument) > WIDTH:
            lines.append("   ")
        lines[-1] += f" {argument}" if lines[-1] else argument
    return " \\\n".join(lines)


def write(folder: Path, docs: Path) -> int:
    """Writes the page and its files, and removes old ones; returns the total size of the files, bytes.

    Raises:
        ValueError: a run is not finished, or was made by another command.
        OSError: a run is missing, or a file cannot be written.
    """
    from modeseek.io.atomic import write_atomic

    files, text = build_files(folder), page(folder)
    target = docs / "gallery"
    target.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_atomic(target / name, data)
    write_atomic(docs / "gallery.md", text)
    for old in target.iterdir():
        if old.name not in files:
            old.unlink()
    return sum(map(len, files.values()))


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: makes the runs and writes the page; an error is one line and exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="FOLDER", help="folder of the runs (runs/gallery)")
    parser.add_argument("--out", type=Path, default=DOCS, metavar="FOLDER", help="folder of the pages (docs)")
    parser.add_argument("--pages", action="store_true", help="make no run: write the pages from those that are there")
    args = parser.parse_args(argv)
    try:
        if not args.pages:
            make_runs(args.runs)
        size = write(args.runs, args.out)
    except (OSError, ValueError) as error:
        print(f"gallery: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    print(f"{len(ALL)} runs, {size / 1000:.0f} kB: {args.out / 'gallery.md'}")


if __name__ == "__main__":
    main()
