"""Generator of the gallery from run folders: `python docs/gallery.py RUN [RUN ...]` writes docs/gallery.md and images.

With --add, sections of the page that are of other runs stay, and a run of the same name is replaced where it stood.

The page shows what the folder of each run records: the command as typed, the configuration's title, steps, prior calls,
seconds and commit. Notes on the images are read from docs/gallery/notes.yaml, by name. Images are reduced in size,
since they are stored in the repository. A command that contains a path of the machine is refused.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parent
IMAGES = ("sides.png", "panels.png", "after.png")  # in media/, by preference
MAX_WIDTH = 760  # pixels
COLOURS = 256
INTRODUCTION = """# Gallery

Each image is an export of a run, shown with the command that reproduces it and its cost. The page is generated from the
run folders by `python docs/gallery.py RUN ...`.
"""


@dataclass(frozen=True)
class GalleryEntry:
    """Section of the gallery for one run.

    Attributes:
        name: name of the run's folder and of the image.
        title: method and target of the run.
        command: command line as typed.
        cost: steps, prior calls and seconds, one sentence.
        image: content of the PNG file.
        note: description of the image, or empty.
    """

    name: str
    title: str
    command: str
    cost: str
    image: bytes
    note: str = ""

    def markdown(self) -> str:
        """The section as Markdown."""
        image, command = f"![{self.title}](gallery/{self.name}.png)", f"```sh\n{self.command}\n```"
        return "\n\n".join(part for part in (f"## {self.title}", self.note, image, command, self.cost) if part) + "\n"


def read_entry(folder: Path, notes: Mapping[str, str]) -> GalleryEntry:
    """Reads the gallery entry of a run folder.

    Args:
        folder: folder of the run.
        notes: descriptions of images, by name of the folder.

    Raises:
        ValueError: the run is not finished, has no image, or its command contains a path of this machine.
        OSError: the folder is not a run.
    """
    from modeseek.config.config import read_config, read_yaml_file
    from modeseek.rundir.status import read_status

    status, plain = read_status(folder), read_yaml_file(folder / "config.yaml")
    if status.state != "finished":
        raise ValueError(f"{folder.name} is {status.state}: runs of the gallery must be finished; resume it first")
    command = typed_command(folder)
    images = [folder / "media" / name for name in IMAGES if (folder / "media" / name).exists()]
    if not images:
        raise ValueError(f"{folder.name} must have one of {', '.join(IMAGES)} in media/, got none")
    toy = plain.get("verb") != "run"
    title = f"{str(plain.get('problem', folder.name)).capitalize()}: methods side by side" if toy else None
    environment = json.loads((folder / "env.json").read_text())
    return GalleryEntry(
        folder.name,
        title or read_config(plain).title,
        command,
        _cost(status.steps, status.calls, status.seconds, environment),
        shrink(images[0]),
        notes.get(folder.name, ""),
    )


def typed_command(folder: Path) -> str:
    """The command line of a run.

    Raises:
        ValueError: the command contains a path of this machine.
    """
    command = (folder / "command.txt").read_text().strip()
    if re.search(r"(^|[\s=:'\"])(/|~|[A-Za-z]:\\)", command):
        raise ValueError(f"{folder.name} was made with a path of this machine: {command}; run it with relative paths")
    return command


def _cost(steps: int, calls: int, seconds: float, environment: dict) -> str:
    counts = [f"{steps:,} steps"] if steps else []
    counts += [f"{calls:,} prior calls"] if calls else []
    threads = environment["device"].get("threads")
    device = environment["device"]["device"] + (f", {threads} thread{'s' * (threads != 1)}" if threads else "")
    commit = (environment["git"] or {}).get("commit", "")[:7]  # none outside a repository
    return f"{', '.join([*counts, f'{seconds:.1f} s'])} on a shared machine ({device}); commit {commit or 'unknown'}."


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


def kept_sections(docs: Path) -> dict[str, str]:
    """Sections of the page as it stands, by name of the run."""
    _, *sections = (docs / "gallery.md").read_text().split("\n## ")
    named = [(re.findall(r"\]\(gallery/([^)]+)\.png\)", section), section) for section in sections]
    return {names[0]: f"## {section.strip()}\n" for names, section in named if names}


def write(entries: Sequence[GalleryEntry], docs: Path, kept: Mapping[str, str]) -> int:
    """Writes the page and its images, and removes old images; returns the total size of the new images, bytes.

    Args:
        entries: sections to write.
        docs: folder of the pages.
        kept: sections that stay, in order, by name of the run.

    Raises:
        ValueError: two runs have the same name.
    """
    from modeseek.io.atomic import write_atomic

    names = [entry.name for entry in entries]
    if len(set(names)) < len(names):
        raise ValueError(f"runs of a gallery must have distinct names, got {', '.join(names)}; rename a folder")
    folder = docs / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        write_atomic(folder / f"{entry.name}.png", entry.image)
    sections = {**kept, **{entry.name: entry.markdown() for entry in entries}}
    write_atomic(docs / "gallery.md", "\n".join([INTRODUCTION, *sections.values()]))
    for old in folder.glob("*.png"):
        if old.stem not in sections:
            old.unlink()
    return sum(len(entry.image) for entry in entries)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: reads the folders and writes the page; an error is one line and exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of modeseek run, shape or toy")
    parser.add_argument(
        "--out", type=Path, default=DOCS, metavar="FOLDER", help="folder of the pages; by default this one"
    )
    parser.add_argument("--add", action="store_true", help="keep the sections of other runs")
    args = parser.parse_args(argv)
    from modeseek.config.yaml import read_yaml

    path = args.out / "gallery" / "notes.yaml"
    try:
        notes = read_yaml(path.read_text(), path.name) if path.exists() else {}
        kept = kept_sections(args.out) if args.add else {}
        size = write([read_entry(folder, notes) for folder in args.runs], args.out, kept)
    except (OSError, ValueError) as error:
        print(f"gallery: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    print(f"{len(args.runs)} runs, {size / 1000:.0f} kB of images: {args.out / 'gallery.md'}")


if __name__ == "__main__":
    main()
