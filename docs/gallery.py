"""The gallery from run folders: `python docs/gallery.py RUN [RUN ...]` writes docs/gallery.md and docs/gallery/.

What the page says of a run is what its folder says: the command as typed, the configuration's title, steps, prior
calls, seconds and commit; what to see in a picture is said by name in docs/gallery/notes.yaml. Pictures are made small,
since they stay in the repository. A command that holds a path of the machine is refused.
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

HERE = Path(__file__).parent
PICTURES = ("sides.png", "panels.png", "after.png")  # of media/, the most telling first
WIDTH = 760  # pixels
COLOURS = 256
WORDS = """# Gallery

Each picture is what a run left in its folder, beside the command that made it and what that cost; the page is made from
the folders by `python docs/gallery.py RUN ...`. Repeat one by its command.
"""


@dataclass(frozen=True)
class Entry:
    """One run, for the page.

    Attributes:
        name: of its folder, and of the picture.
        title: what was sought, by which method.
        command: as typed.
        cost: steps, calls, seconds.
        picture: PNG.
        note: what to see in it, or nothing.
    """

    name: str
    title: str
    command: str
    cost: str
    picture: bytes
    note: str = ""

    def markdown(self) -> str:
        """Its part of the page."""
        picture, command = f"![{self.title}](gallery/{self.name}.png)", f"```sh\n{self.command}\n```"
        return "\n\n".join(part for part in (f"## {self.title}", self.note, picture, command, self.cost) if part) + "\n"


def entry(folder: Path, notes: Mapping[str, str]) -> Entry:
    """What a run folder says of itself, and what there is to see.

    Raises:
        ValueError: it is not finished, has no picture, or its command holds a path of this machine.
        OSError: it is no run folder.
    """
    from modeseek.config.config import read_config, read_yaml_file
    from modeseek.rundir.status import read_status

    status, plain = read_status(folder), read_yaml_file(folder / "config.yaml")
    if status.state != "finished":
        raise ValueError(f"{folder.name} is {status.state}: the gallery shows finished runs; resume it first")
    command = typed(folder)
    made = [folder / "media" / name for name in PICTURES if (folder / "media" / name).exists()]
    if not made:
        raise ValueError(f"{folder.name} has none of {', '.join(PICTURES)} in media/; nothing to show")
    toy = plain.get("verb") != "run"
    title = f"{str(plain.get('problem', folder.name)).capitalize()}: methods side by side" if toy else None
    environment = json.loads((folder / "env.json").read_text())
    return Entry(
        folder.name,
        title or read_config(plain).title,
        command,
        _cost(status.steps, status.calls, status.seconds, environment),
        small(made[0]),
        notes.get(folder.name, ""),
    )


def typed(folder: Path) -> str:
    """The command that made it.

    Raises:
        ValueError: it holds a path of this machine.
    """
    command = (folder / "command.txt").read_text().strip()
    if re.search(r"(^|[\s=:'\"])(/|~|[A-Za-z]:\\)", command):
        raise ValueError(f"{folder.name} was made with a path of this machine: {command}; run it with relative paths")
    return command


def _cost(steps: int, calls: int, seconds: float, environment: dict) -> str:
    told = [f"{steps:,} steps"] if steps else []
    told += [f"{calls:,} prior calls"] if calls else []
    threads = environment["device"].get("threads")
    where = environment["device"]["device"] + (f", {threads} thread{'s' * (threads != 1)}" if threads else "")
    commit = (environment["git"] or {}).get("commit", "")[:7]  # none outside a repository
    return f"{', '.join([*told, f'{seconds:.1f} s'])} on a shared machine ({where}); commit {commit or 'unknown'}."


def small(picture: Path) -> bytes:
    """A PNG of few colours, at most `WIDTH` wide."""
    from PIL import Image

    with Image.open(picture) as image:
        image = image.convert("RGB")
        if image.width > WIDTH:
            image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def write(entries: Sequence[Entry], docs: Path) -> int:
    """The page and its pictures, old ones removed; returns their bytes.

    Raises:
        ValueError: two runs of one name.
    """
    from modeseek.io.atomic import write_atomic

    names = [one.name for one in entries]
    if len(set(names)) < len(names):
        raise ValueError(f"runs of a gallery have different names: got {', '.join(names)}; rename a folder")
    pictures = docs / "gallery"
    pictures.mkdir(parents=True, exist_ok=True)
    for one in entries:
        write_atomic(pictures / f"{one.name}.png", one.picture)
    write_atomic(docs / "gallery.md", "\n".join([WORDS, *(one.markdown() for one in entries)]))
    for old in pictures.glob("*.png"):
        if old.stem not in names:
            old.unlink()
    return sum(len(one.picture) for one in entries)


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the folders, then writes the page; a mistake is one line and exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a folder of modeseek run, shape or toy")
    parser.add_argument("--out", type=Path, default=HERE, metavar="FOLDER", help="the pages; by default these")
    asked = parser.parse_args(argv)
    from modeseek.config.yaml import read_yaml

    told = asked.out / "gallery" / "notes.yaml"
    try:
        notes = read_yaml(told.read_text(), told.name) if told.exists() else {}
        size = write([entry(folder, notes) for folder in asked.runs], asked.out)
    except (OSError, ValueError) as error:
        print(f"gallery: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    print(f"{len(asked.runs)} runs, {size / 1000:.0f} kB of pictures: {asked.out / 'gallery.md'}")


if __name__ == "__main__":
    main()
