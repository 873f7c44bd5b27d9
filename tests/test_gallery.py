"""Gallery of the docs: its runs are made once, and its page shows them and nothing else."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from fabricated_runs import fabricate, scatter
from PIL import Image

from modeseek import cli
from modeseek.generators.mesh.mesh import Mesh
from modeseek.rundir.drawing_records import DrawingRecord, write_records
from modeseek.rundir.status import read_status

DOCS = Path(__file__).parents[1] / "docs"
COLOURS = ((255, 0, 0), (0, 0, 255), (0, 255, 0))


@pytest.fixture(scope="module")
def gallery() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(DOCS)
        patched.delitem(sys.modules, "gallery", raising=False)
        import gallery  # pyright: ignore[reportMissingImports]

        yield gallery
        patched.delitem(sys.modules, "gallery")


@dataclass(frozen=True)
class Small:
    """A gallery of three runs."""

    module: ModuleType
    runs: Path
    out: Path

    def main(self, *argv: str) -> None:
        self.module.main(["--runs", str(self.runs), "--out", str(self.out), *argv])


@pytest.fixture
def small(gallery: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """Two images, one animation and a model, finished; the mesh is a tetrahedron."""
    run = gallery.GalleryRun
    images = run("scenes-msd", ("image", "a red cone", "a blue cube"))
    model, plane = run("a-cone", ("shape", "a red cone")), run("ring", ("run", "--prior", "ring"), "All of the ring.")
    monkeypatch.setattr(gallery, "PROMPTS", {"scenes": ("a red cone", "a blue cube", "none")[:2]})
    monkeypatch.setattr(gallery, "IMAGES", {"scenes": {"msd": images}})
    monkeypatch.setattr(gallery, "MODELS", {"a red cone": model})
    monkeypatch.setattr(gallery, "PLANES", (plane,))
    drawings = run("drawings", ("svg", "an owl", "a cat", "a fish"))
    monkeypatch.setattr(gallery, "DRAWN", ("an owl", "a cat", "a fish"))
    monkeypatch.setattr(gallery, "DRAWINGS", drawings)
    monkeypatch.setattr(gallery, "DRAWINGS_WIDTH", 2)
    monkeypatch.setattr(gallery, "ALL", (images, model, drawings, plane))
    folder = tmp_path / "runs"
    for each in (images, model, drawings, plane):
        made = fabricate(folder / each.name, steps=12, n_previews=3, video=False)
        made.path.joinpath("command.txt").write_text(shlex.join(["modeseek", *each.arguments, "--out", "x"]) + "\n")
    records = [DrawingRecord(f"{k}.svg", prompt, 1, 9, 0, 0, 0, 0.0) for k, prompt in enumerate(gallery.DRAWN)]
    write_records(folder / "drawings", records)
    for k in range(3):
        (folder / "drawings" / "exports" / f"{k}.svg").write_text(f"<svg>{k}</svg>")
    pixels = np.array(COLOURS, dtype=float)[:2, :, None, None] / 255 * np.ones((8, 8))
    np.save(folder / "scenes-msd" / "exports" / "images.npy", pixels)

    def export(run: Any, path: Path, resolution: int, device: str) -> None:
        assert run.path.name == "a-cone" and resolution <= 64 and device == "cpu"
        path.write_bytes(b"")

    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    faces = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    monkeypatch.setattr("modeseek.runs.export_run.export_mesh", export)
    monkeypatch.setattr("modeseek.generators.mesh.read.read_mesh", lambda path, like: Mesh(corners, faces, corners))
    return Small(gallery, folder, tmp_path)


def test_the_page_shows_the_results_of_the_runs(small: Small) -> None:
    (small.out / "gallery").mkdir()
    (small.out / "gallery" / "old.webp").write_bytes(b"of another run")
    small.main("--pages")
    page = (small.out / "gallery.md").read_text()
    assert "```sh\nmodeseek image 'a red cone' 'a blue cube'\n```" in page and "--out" not in page
    assert "\nring 3,072 prior calls, 0 s; on a shared machine (cpu, 1 thread), modeseek 0.1.0.\n" in page
    assert "* - MSD\n  - ![a red cone, MSD](gallery/scenes-msd-0.webp)" in page and "All of the ring." in page
    files = {path.name for path in (small.out / "gallery").iterdir()}
    drawn = {f"drawings-{k}.svg" for k in range(3)}
    assert files == {"scenes-msd-0.webp", "scenes-msd-1.webp", "a-cone.html", "ring.webp", "landing.webp", *drawn}
    assert all((small.out / "gallery" / f"drawings-{k}.svg").read_text() == f"<svg>{k}</svg>" for k in range(3))
    assert "* - MSD\n  - ![a fish, drawing](gallery/drawings-2.svg)" in page, "the second row"
    assert files - {"landing.webp"} == set(re.findall(r"gallery/([^)\s]+)", page))
    for index in range(2):
        with Image.open(small.out / "gallery" / f"scenes-msd-{index}.webp") as image:
            assert image.size == (128, 128)
            assert np.abs(np.array(image.convert("RGB"))[64, 64] - np.array(COLOURS[index], dtype=int)).max() < 12
    with Image.open(small.out / "gallery" / "ring.webp") as film:
        assert film.n_frames == 3 and film.size == (320, 320)
        film.seek(2)
        last = np.array(film.convert("RGB"), dtype=int)
    assert np.abs(last - np.array(scatter(1.0))).mean() < 3
    html = (small.out / "gallery" / "a-cone.html").read_text()
    assert "class='model'" in html and "a red cone, 4 faces" in html and "data-places=" in html


def test_runs_are_made_once_and_resumed(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[list[str]] = []
    monkeypatch.setattr(cli, "main", made.append)
    shutil.rmtree(small.runs / "a-cone")
    stop(small.runs / "ring")
    with pytest.raises(SystemExit):  # nothing was made here
        small.main()
    assert made == [
        ["shape", "a red cone", "--out", (small.runs / "a-cone").as_posix()],
        ["resume", (small.runs / "ring").as_posix()],
    ]


def stop(folder: Path) -> None:
    path = folder / "status.json"
    path.write_text(path.read_text().replace('"finished"', '"stopped"'))
    assert read_status(folder).state == "stopped"


@pytest.mark.parametrize(
    ("name", "command", "text"),
    [
        ("ring", None, "ring is stopped"),
        ("ring", "modeseek run --prior moons", "ring was made by modeseek run --prior moons;"),
        ("ring", "modeseek run --prior ring --out /home/me/x", "a path of this machine"),
        ("ring", "modeseek run --prior ring --out=~/x", "a path of this machine"),
    ],
)
def test_a_run_is_refused(
    small: Small, name: str, command: str | None, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if command is None:
        stop(small.runs / name)
    else:
        (small.runs / name / "command.txt").write_text(command)
    with pytest.raises(SystemExit) as ended:
        small.main("--pages")
    output = capsys.readouterr().err
    assert ended.value.code == 2 and text in output and output.count("\n") == 1
    assert not (small.out / "gallery.md").exists()


def test_images_side_by_side(gallery: ModuleType) -> None:
    images = [Image.new("RGB", (8, 6), colour) for colour in COLOURS]
    sheet = gallery.strip([images[:2], images[:0:-1]], gap=2)
    assert sheet.size == (18, 14)
    seen = [sheet.getpixel(at) for at in ((0, 0), (10, 0), (0, 8), (17, 13), (9, 7))]
    assert seen == [COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[1], (255, 255, 255)]
    with Image.open(io.BytesIO(gallery.webp(sheet))) as image:
        assert image.format == "WEBP" and image.size == sheet.size


def test_the_page_is_of_these_runs_and_uses_every_file(gallery: ModuleType) -> None:
    page, landing = (DOCS / "gallery.md").read_text(), (DOCS / "index.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line) for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    assert commands == [["modeseek", *run.arguments] for run in gallery.ALL]
    used = set(re.findall(r"gallery/([\w-]+\.\w+)", page + landing))
    assert used == {path.name for path in (DOCS / "gallery").iterdir()}
    assert len(gallery.MODELS) == 6 and [len(prompts) for prompts in gallery.PROMPTS.values()] == [6, 6]
