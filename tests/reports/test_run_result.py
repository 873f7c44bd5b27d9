"""What a run's page offers first: the result, its files, remarks, and explanations of terms."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from fabricated_runs import fabricate
from html_page import Page
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from modeseek.reports.run_page import write_run_page
from modeseek.reports.terms import TERMS
from modeseek.rundir.run_dir import Run


def page_of(run: Run) -> Page:
    return Page(write_run_page(run))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run; tests that change one copy it."""
    return fabricate(tmp_path_factory.mktemp("runs") / "msd-ring")


def copy(run: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(run.path, tmp_path / run.path.name)))


def test_terms_are_explained_where_they_stand(whole: Run) -> None:
    page = page_of(whole)
    for term in ("prior calls", "relative shift", "bandwidth"):
        assert page.tooltips.count(TERMS[term]) == 2, term  # of the number and of the curve
    assert page.tooltips.count(TERMS["direction norm"]) == 1  # of the curve
    assert len(page.tooltips) == page.values("button", "class").count("term") == 7


def test_every_file_is_linked_and_results_are_offered_for_download(whole: Run, tmp_path: Path) -> None:
    run = copy(whole, tmp_path)
    for name in ("exports/mesh.glb", "exports/a prompt's #1.png", "media/turntable.mp4", "media/.hidden.part"):
        (run.path / name).write_bytes(b"x" * 1500)
    Image.new("RGB", (8, 8)).save(run.path / "exports" / "a prompt's #1.png")
    links = [link for link in page_of(run).values("a", "href") if link.startswith("./")]
    files = [path for path in run.path.rglob("[!.]*") if path.is_file() and path.name != "report.html"]
    files = [path for path in files if path.parent.name not in ("previews", "checkpoints")]
    assert {(run.path / unquote(link)).resolve() for link in links} == {path.resolve() for path in files}
    assert "./exports/a%20prompt%27s%20%231.png" in links
    text = (run.path / "report.html").read_text(encoding="utf-8")
    labels = re.findall(r"<a href='([^']+)' download>([^<]+)</a> <span class='small'>([^<]+)<", text)
    assert [label for _, label, _ in labels] == ["Model GLB", "Turntable MP4", "Film GIF"]
    assert labels[0] == ("./exports/mesh.glb", "Model GLB", "1.5 kB")


@pytest.mark.parametrize(("done", "shown"), [(400, True), (200, False)])
def test_exported_images_are_the_result_of_a_finished_run(tmp_path: Path, done: int, shown: bool) -> None:
    run = fabricate(tmp_path / "run", done=done, n_previews=2, video=False, prompts=["a red cone", "an <owl>"])
    note = PngInfo()
    note.add_text("Prompt", "an owl, as it was typed")
    for name, side, text in (("a-s0", 8, None), ("a-s0@8x", 64, None), ("b-s0", 6, note), ("b-s0@8x", 48, note)):
        Image.new("RGB", (side, side)).save(run.path / "exports" / f"{name}.png", pnginfo=text)
    page = page_of(run)
    sizes = [value for tag, name, value in page.attributes if (tag, name) == ("img", "width")]
    alts = page.values("img", "alt")
    assert page.headings[0] == ("Result" if shown else "Result so far")
    if shown:  # the enlarged ones, under their prompts: recorded, else of the configuration
        assert sizes[:2] == ["64", "48"] and alts[:2] == ["a red cone", "an owl, as it was typed"]
        links = re.findall(r"<a href='([^']+)' download>(PNG [^<]+)</a>", (run.path / "report.html").read_text())
        assert links[:2] == [("./exports/a-s0.png", "PNG own size"), ("./exports/a-s0%408x.png", "PNG 8x")]
    else:
        assert sizes[0] == "320" and alts[0] == "After 200 steps"
    assert "a red cone and 1 more" in page.words


def test_an_enlarged_image_that_is_too_large_for_a_page_is_linked_only(tmp_path: Path) -> None:
    run = fabricate(tmp_path / "run", n_previews=0, video=False)
    Image.new("RGB", (8, 8)).save(run.path / "exports" / "a.png")
    Image.effect_noise((900, 900), 99).save(run.path / "exports" / "a@8x.png")
    page = page_of(run)
    assert page.values("img", "width") == ["8"] and "./exports/a%408x.png" in page.values("a", "href")


def test_remarks_stand_above_the_result_each_once(whole: Run, tmp_path: Path) -> None:
    run = copy(whole, tmp_path)
    with (run.path / "log.txt").open("a") as file:
        for line in ("warning: unknown: <horse>", "finished warning: not one", "warning: unknown: <horse>"):
            file.write(f"2026-01-01T00:00:00+00:00 {line}\n")
    write_run_page(run)
    lead = (run.path / "report.html").read_text(encoding="utf-8").partition("<section>")[0]
    assert re.findall(r"<p class='watch remark'>(.*?)</p>", lead) == ["unknown: &lt;horse&gt;"]


@pytest.mark.parametrize(("steps", "done", "text"), [(150, 150, "--steps 300"), (400, 400, ""), (400, 150, "")])
def test_a_finished_run_that_still_moved_says_how_to_go_on(tmp_path: Path, steps: int, done: int, text: str) -> None:
    run = fabricate(tmp_path / "run", steps=steps, done=done, n_previews=0, video=False)
    found = re.findall(r"<p class='watch moving'>(.*?)</p>", write_run_page(run).read_text(encoding="utf-8"))
    assert len(found) == bool(text) and all(f"modeseek resume {run.path} {text}</code>" in line for line in found)
    assert all("ended at 0.233 and has not reached 0.1" in line for line in found)


def test_films_in_mp4_are_played_in_the_page(whole: Run, tmp_path: Path) -> None:
    run = copy(whole, tmp_path)
    data = b"\0\0\0\x20ftypisom" + bytes(range(256))
    (run.path / "media" / "optimisation.mp4").write_bytes(data)
    (source,) = page_of(run).values("video", "src")
    assert source.startswith("data:video/mp4;base64,") and base64.b64decode(source.split(",", 1)[1]) == data
    (run.path / "media" / "optimisation.mp4").write_bytes(b"garbage")
    (alarm,) = page_of(run).alarms
    assert "optimisation.mp4 is damaged" in alarm
