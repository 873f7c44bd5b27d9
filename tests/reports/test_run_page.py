"""Page of a run: complete, self-contained, escaped, and written despite any damage to the folder."""

from __future__ import annotations

import base64
import os
import re
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest
from fabricated_runs import MSD, fabricate
from html_page import Page
from hypothesis import given
from hypothesis import strategies as st

from modeseek.citations.bibtex import read_sources
from modeseek.methods import METHODS
from modeseek.reports.run_page import duration, write_run_page
from modeseek.rundir.run_dir import Run

HOSTILE = "<script>alert(1)</script><img src=x onerror='alert(2)'>\"'><b>\x00\x1b[31m\ud800&amp;"
SECTIONS = ["Result", "Key metrics", "Before and after", "Progress", "Film", "Curves", "Files", "Resume", "Command"]
SECTIONS += ["Configuration", "Environment", "Log", "Sources"]


def chart_titles(text: str) -> list[str]:
    return re.findall(r"<figcaption>(?:<button[^>]*>)?([^<]+)<(?:span role|output)", text)


def page_of(run: Run) -> Page:
    return Page(write_run_page(run))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run; tests that change one copy it."""
    return fabricate(tmp_path_factory.mktemp("runs") / "msd-ring", name="rings & dots")


@pytest.fixture(scope="module")
def little(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A short run with four previews."""
    return fabricate(tmp_path_factory.mktemp("runs") / "msd-ring", steps=12, n_previews=4)


def copy(run: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(run.path, tmp_path / run.path.name)))


def test_it_holds_everything_in_order(whole: Run) -> None:
    path = write_run_page(whole)
    assert path == whole.path / "report.html" and not list(whole.path.glob(".*.part"))
    page = Page(path)
    assert page.headings == SECTIONS and page.alarms == []
    for words in (
        "MSD on rings & dots",
        "MSD, ring prior, seed 0",
        "finished",
        "400 of 400",
        "102,400",
        "512 MB",
        "tol: 0.0001",
        "--name 'a b'",
    ):
        assert words in page.words, words
    for words in ("line 29", "line 10", "ab" * 32, "0123456789abcdef", "@misc{msd,", "points.start.noise"[:6]):
        assert words in page.words, words
    assert "line 9\n" not in page.words  # the last twenty of thirty
    assert f"final relative shift{0.5 * 2.718281828 ** (-399 / 25):.3g}" in page.words
    text = path.read_text(encoding="utf-8")
    assert chart_titles(text) == ["Relative shift", "Direction norm", "Bandwidth", "Prior calls", "Memory"]
    assert chart_titles(text[text.index("Costs: prior calls and memory") :]) == ["Prior calls", "Memory"]  # folded


def test_nothing_is_loaded_from_elsewhere(whole: Run) -> None:
    page = page_of(whole)
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    loads = [v for _, n, v in page.attributes if n in ("src", "srcset", "data", "poster", "background", "xlink:href")]
    assert loads and all(value.startswith("data:image/") for value in loads)
    assert all(tag == "a" for tag, name, _ in page.attributes if name == "href")
    links = {link for link in page.values("a", "href") if not link.startswith("./")}  # the others are its own files
    assert links == {read_sources()["msd"].url}
    (policy,) = page.values("meta", "content")[:1]
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:; style-src")
    for forbidden in ("@import", "url(", "fetch(", "XMLHttpRequest"):
        assert forbidden not in page.words


def test_first_and_last_preview_lie_under_the_slider_and_eight_in_between(whole: Run) -> None:
    page = page_of(whole)
    files = sorted((whole.path / "previews").iterdir())
    shown = [base64.b64decode(value.split(",", 1)[1]) for value in page.values("img", "src")]
    video = (whole.path / "media" / "optimisation.gif").read_bytes()
    assert shown[0] == files[-1].read_bytes()  # the result comes first
    assert shown[1:3] == [files[0].read_bytes(), files[-1].read_bytes()] and shown[-1] == video
    assert len(shown) == 1 + 2 + 8 + 1
    between = [file.read_bytes() for file in files[1:-1]]
    order = [between.index(data) for data in shown[3:-1]]
    assert order == sorted(set(order)) and order[0] <= 1 and order[-1] >= len(between) - 2  # spread over all
    assert page.values("input", "type") == ["range"] and page.values("input", "aria-label")
    assert page.values("input", "value") == ["15"]  # 85 % of it is the last preview
    assert "Before the first step" in page.words and "After 400 steps" in page.words


@pytest.mark.parametrize(
    ("options", "state", "texts"),
    [
        ({"done": 150}, "stopped", ["asked to stop after step 150", "modeseek resume", "150 of 400", "step 150."]),
        (
            {"status": {"state": "failed", "reason": "the rendering vanished"}},
            "failed",
            ["vanished", "modeseek resume"],
        ),
        ({"status": {"state": "running"}}, "lost", ["ended without an error message", "modeseek resume"]),
        (
            {"done": 0, "n_previews": 0, "status": {"state": "created"}},
            "created",
            ["No step was made", "has no previews"],
        ),
        ({"done": 3, "n_previews": 1}, "stopped", ["There is one preview only, before the first step"]),
        ({}, "finished", ["--steps 800"]),
        ({"status": {"rollbacks": 1, "sessions": 3}}, "finished", ["rollbacks1", "sessions3"]),
        ({"status": {"checkpoint": None}, "done": 2}, "stopped", ["No checkpoint was written yet"]),
    ],
)
def test_every_state_has_its_page(tmp_path: Path, options: dict[str, Any], state: str, texts: list[str]) -> None:
    run = fabricate(tmp_path / "it's here", **options)
    page = page_of(run)
    assert page.alarms == [] and f"state {state}" in page.values("span", "class")
    for text in texts:
        assert text in page.words, text
    assert ("'it'\"'\"'s here'" in page.words) or "it'\"'\"'s here'" in page.words  # quoted for the shell


def test_a_process_that_works_on_it_is_seen(whole: Run, tmp_path: Path) -> None:
    run = fabricate(tmp_path / "run", done=10, status={"state": "running", "reason": ""})
    with run.locked():
        page = page_of(run)
    assert "state running" in page.values("span", "class") and "A process is working on this run" in page.words
    assert "state lost" in page_of(run).values("span", "class")


@pytest.mark.parametrize(
    ("settings", "watched", "never", "keys"),
    [
        ({"method": MSD}, ["MSD gives a direction", "tol = 0.0001", "0.1"], "drawn", ["msd", "meanshift"]),
        ({"method": {"msd": {"bandwidth": {"fixed": {"h": 0.25}}, "jitter": 0.5}}}, ["drawn", "0.25"], "SDS", ["msd"]),
        ({"method": {"msd": {"bandwidth": "along"}}}, ["at the last bandwidth of its path."], "drawn", ["msd"]),
        (
            {"method": {"msd": {"bandwidth": {"along": {"end": 0.25}}}}},
            ["at the last bandwidth, 0.25."],
            "path",
            ["msd"],
        ),
        ({"method": {"msd": {"bandwidth": "along", "jitter": "until"}}}, ["new noise is drawn"], "SDS", ["msd"]),
        ({"method": {"msd": {"bandwidth": "along", "finish": "product"}}}, ["new noise is drawn"], "SDS", ["msd"]),
        ({"method": "sds"}, ["SDS gives a gradient", "noise"], "relative shift", ["sds"]),
        ({"method": "sds", "label": 1, "scale": 5.0}, ["SDS"], "tol", ["sds", "guidance"]),
        ({"method": {"sdi": {"scale": 1.0}}}, ["SDI gives a direction"], "guidance,", ["sdi", "ddim"]),
        ({"method": "sdi", "label": 1}, ["SDI"], "relative shift", ["sdi", "ddim", "guidance"]),
        ({"method": "sdi"}, ["SDI"], "relative shift", ["sdi", "ddim"]),  # nothing to guide without a class
    ],
)
def test_it_says_what_to_watch_and_cites(
    tmp_path: Path, settings: dict[str, Any], watched: list[str], never: str, keys: list[str]
) -> None:
    run = fabricate(tmp_path / "run", video=False, n_previews=2, **settings)
    text = write_run_page(run).read_text(encoding="utf-8")
    (line,) = re.findall(r"<p class='watch'>(.*?)</p>\s*<div class='curves'>", text)
    assert "no loss that falls" in line and all(word in line for word in watched) and never not in line
    cited = re.findall(r"@\w+\{([^,]+),$", text, re.M)
    assert cited[: len(keys)] == keys
    assert ("guidance" in cited) == ("guidance" in keys)


def test_every_method_has_sources_that_are_known() -> None:
    assert all(cls.references and set(cls.references) <= read_sources().keys() for cls in METHODS.values())


def test_penalties_and_noise_levels_have_curves_and_what_is_missing_has_none(tmp_path: Path) -> None:
    run = fabricate(tmp_path / "run", method="sds", done=2, steps=400)
    path = run.path / "metrics.jsonl"
    path.write_text('{"step": 0, "t": 0.5, "loss_<i>": 2, "calls": null}\n{"step": 1, "t": 0.4, "loss_<i>": 1}\n')
    text = write_run_page(run).read_text(encoding="utf-8")
    assert chart_titles(text) == ["Noise level", "Penalty &lt;i&gt;"]


def test_what_a_folder_says_is_text_and_nothing_else(tmp_path: Path) -> None:
    name = HOSTILE.translate({0: None, 0x1B: None, 0xD800: None})  # YAML cannot hold these
    run = fabricate(
        tmp_path / "<b>run",
        name=name,
        status={"state": "failed", "reason": HOSTILE},
        environment={HOSTILE: {HOSTILE: HOSTILE}},
    )
    harmless = set(page_of(fabricate(tmp_path / "tame")).tags)
    row = '{"step": 0, "direction_norm": 1.0, "loss_<img src=x onerror=alert(3)>": 1.0}\n'
    (run.path / "metrics.jsonl").write_text(row)
    (run.path / "log.txt").write_bytes(b"</pre><script>alert(4)</script>\x00\xff\n")
    (run.path / "command.txt").write_text("modeseek --name '<svg onload=alert(5)>'")
    (run.path / "exports" / "<i>.npy").write_bytes(b"")
    page = page_of(run)
    assert set(page.tags) <= harmless | {"circle"} and page.tags.count("script") == 1
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert all(value.startswith("data:image/") for value in page.values("img", "src"))
    for words in ("<script>alert(1)</script>", "alert(3)", "alert(4)", "<svg onload=alert(5)>", "<i>.npy", "�"):
        assert words in page.words


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _garble(path: Path) -> None:
    path.write_bytes(b"\x89\xff\x00{[" * 50)


def _shorten(path: Path) -> None:
    """To the first lines: half of a configuration may still be one."""
    path.write_bytes(path.read_bytes()[:40])


DAMAGE = [
    # file, damage, heading of the affected section, part of its error line
    ("previews/step-00000000.png", _cut, "Before and after", "step-00000000.png is damaged"),
    ("previews/step-00000400.png", _garble, "Before and after", "step-00000400.png is damaged"),
    ("media/optimisation.gif", _garble, "Film", "optimisation.gif is damaged"),
    ("metrics.jsonl", _cut, "Curves", "1 of the lines of metrics.jsonl is damaged"),
    ("metrics.jsonl", _garble, "Curves", "1 of the lines of metrics.jsonl is damaged"),
    ("config.yaml", _garble, "Configuration", "config.yaml"),
    ("config.yaml", _shorten, "Configuration", "config.yaml"),
    ("config.yaml", os.remove, "Configuration", "config.yaml"),
    ("status.json", _cut, "", "status.json is damaged"),
    ("status.json", os.remove, "", "no status.json"),
    ("env.json", _cut, "Environment", "env.json is damaged"),
    ("env.json", os.remove, "Environment", "env.json"),
    ("command.txt", os.remove, "Command", "command.txt"),
]


@pytest.mark.parametrize(("name", "damage", "heading", "message"), DAMAGE)
def test_damage_costs_its_own_section_which_says_so(
    whole: Run, tmp_path: Path, name: str, damage: Any, heading: str, message: str
) -> None:
    run = copy(whole, tmp_path)
    damage(run.path / name)
    page = page_of(run)
    assert len(page.alarms) == 1 and message in page.alarms[0], page.alarms
    assert "\n" not in page.alarms[0]
    lost = {"config.yaml": ["Sources"], "status.json": ["Resume"]}.get(name, [])
    sections = [section for section in SECTIONS if section not in lost]
    assert page.headings == (["Result so far", *sections[1:]] if name == "status.json" else sections)
    assert heading in ["", *page.headings]
    if name.startswith("previews"):
        assert len(page.values("img", "src")) == 12  # another one replaces it
    if name == "metrics.jsonl" and damage is _cut:
        assert "Relative shift" in page.words
    if name == "config.yaml":
        assert "msd-ring" in page.words and "no loss that falls" in page.words


def test_a_large_video_is_named_instead(whole: Run, tmp_path: Path) -> None:
    run = copy(whole, tmp_path)
    with (run.path / "media" / "optimisation.gif").open("ab") as file:
        file.write(b"\0" * 4 * 2**20)
    path = write_run_page(run)
    assert re.search(r"optimisation\.gif has 4\.\d MB", Page(path).words) and path.stat().st_size < 2**20


def test_an_enormous_preview_is_refused_before_it_is_decoded(whole: Run, tmp_path: Path) -> None:
    run = copy(whole, tmp_path)
    path = run.path / "previews" / "step-00000400.png"
    data = bytearray(path.read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)
    (alarm,) = page_of(run).alarms
    assert "60000 x 60000 pixels" in alarm


def test_many_damaged_previews_do_not_flood_the_page(whole: Run, tmp_path: Path) -> None:
    run = copy(whole, tmp_path)
    for path in (run.path / "previews").iterdir():
        path.write_bytes(b"")
    page = page_of(run)
    assert len(page.alarms) == 4 and page.alarms[-1] == "9 more"


@given(data=st.data())
def test_no_garbage_in_any_file_keeps_it_from_being_written(
    data: st.DataObject, little: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = copy(little, tmp_path_factory.mktemp("fuzz"))
    files = sorted(path for path in run.path.rglob("*") if path.is_file() and path.suffix != ".html")
    for path in data.draw(st.lists(st.sampled_from(files), max_size=3, unique=True), label="files"):
        old = path.read_bytes()
        place = data.draw(st.integers(0, len(old)), label="place")
        new = data.draw(st.binary(max_size=20) | st.sampled_from([b"null", b"[]", b"-1", b"1e999", b'"', b"\n", b"{}"]))
        keep = data.draw(st.booleans(), label="keep the rest")
        path.write_bytes(old[:place] + new + (old[place + len(new) :] if keep else b""))
    page = page_of(run)
    assert {"Curves", "Configuration"} <= set(page.headings)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "0.0123 s"), (59.94, "59.9 s"), (61, "1 min 01 s"), (3599.9, "1 h 00 min"), (90061, "25 h 01 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(float(seconds)) == text


def test_a_folder_that_cannot_be_written_to_keeps_its_old_page(whole: Run, tmp_path: Path) -> None:
    run = copy(whole, tmp_path)
    write_run_page(run)
    before = (run.path / "report.html").read_bytes()
    (run.path / ".report.html.part").mkdir()  # at the path of the temporary file
    with pytest.raises(OSError):
        write_run_page(run)
    assert (run.path / "report.html").read_bytes() == before
