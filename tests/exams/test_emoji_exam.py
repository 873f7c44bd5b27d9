"""Emoji exam: samples that are drawings, samples of other names, distances between the sets, files, one-line errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fabricated_icons as fabricated
import pytest
import tiny
import torch

from modeseek.cli import main
from modeseek.datasets.emoji import Icon, canonical, read_icons, render_icons, with_article
from modeseek.exams.emoji_exam.emoji_exam import EmojiExamResult, draw_names, examine, facts, names_of_drawings
from modeseek.exams.emoji_exam.memory import memory_table
from modeseek.exams.exam import Exam
from modeseek.io.progress import Progress

NAMES = fabricated.NAMES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fabricated.write_packages(tmp_path_factory.mktemp("icons"))


@pytest.fixture(scope="module")
def icons(folder: Path) -> tuple[Icon, ...]:
    return read_icons(folder)


@pytest.fixture(scope="module")
def pixels(icons: tuple[Icon, ...]) -> torch.Tensor:
    return render_icons(icons)


def exam_of(names: tuple[str, ...]) -> Exam:
    return Exam(Path("nowhere"), tuple(map(with_article, names)), 3.0, 2, 0)


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch, icons: tuple[Icon, ...], pixels: torch.Tensor):
    """Runs the exam with a sampler that draws the shaded drawing of the name that `other` gives for each prompt."""

    def run(other: dict[str, str]) -> EmojiExamResult:
        by_name = {icon.name: row for icon, row in zip(icons, pixels, strict=True)}

        def sample(folder: Path, captions: tuple[str, ...], **_: object) -> Iterator[torch.Tensor]:
            for caption in captions:
                yield canonical(by_name[other[caption.split(" ", 1)[1]]][None])

        monkeypatch.setattr("modeseek.exams.exam.sample_with_diffusers", sample)
        job = examine(exam_of(NAMES), NAMES, icons)
        stages: list[Progress] = []
        while True:
            try:
                stages.append(next(job))
            except StopIteration as end:
                assert {progress.stage for progress in stages} == {"rendering", "sampling", "comparing"}
                return end.value

    return run


def test_samples_that_are_drawings_are_all_right_and_recalled(draws, icons) -> None:
    result = draws({name: name for name in NAMES})
    rows = {row.name: row.values for row in result.table.rows}
    assert rows["pipeline"]["top1"] == rows["pipeline"]["top5"] == 1 and rows["pipeline"]["n"] == 6
    categories = ["- Flags", "- Objects", "- People & Body", "- Symbols"]
    assert list(rows) == ["pipeline", *categories, "re-drawn", "by luck"]
    assert [rows[name]["n"] for name in categories] == [1, 2, 1, 2]
    assert rows["re-drawn"]["top1"] == 1
    memory = {row.name: row.values for row in result.memory.rows}
    assert memory["samples"]["nearer"] == 1 and memory["samples"]["high"] < 0.07, "scales of the grid are 2 % off"
    assert memory["same name"]["n"] == 12, "each drawing of both sets, to its namesake"
    assert memory["same name"]["low"] > memory["samples"]["high"]
    assert [icons[k].name for k in result.nearest.index[:, 0].tolist()] == list(NAMES)
    assert all(icons[k].style == "shaded" for k in result.nearest.index[:, 0].tolist())
    found = facts(exam_of(NAMES), NAMES, result, icons)
    assert found["captions"][0]["nearest"][0] == f"{NAMES[0]}, shaded" and found["captions"][0]["right"][0]
    assert torch.allclose(result.drawings, result.images, atol=0.02), "the nearest drawing is the sample"


def test_samples_of_other_names_are_wrong_but_recalled(draws, icons) -> None:
    result = draws(dict(zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True)))
    rows = {row.name: row.values for row in result.table.rows}
    assert rows["pipeline"]["top1"] == 0 and rows["re-drawn"]["top1"] == 1
    assert rows["pipeline"]["top1_low"] == rows["pipeline"]["top1_high"] == 0
    memory = {row.name: row.values for row in result.memory.rows}
    assert memory["samples"]["nearer"] == 1
    assert [icons[k].name for k in result.nearest.index[:, 0].tolist()] == [*NAMES[1:], NAMES[0]]


def test_chance_is_that_of_shuffled_names(draws) -> None:
    """Of the six names shuffled by seed 0, those that keep their place stay right, all others are wrong."""
    result = draws({name: name for name in NAMES})
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0)).tolist()
    kept = sum(i == k for i, k in enumerate(order)) / 6
    assert kept < 1
    assert {row.name: row.values for row in result.table.rows}["by luck"]["top1"] == pytest.approx(kept)


def test_distances_between_the_sets_by_hand() -> None:
    """Two names in both sets, one in the first alone; distances are given, the table is counted by hand."""
    icons = [Icon(style, name, (), "", "") for style, name in (
        ("flat", "a"), ("flat", "b"), ("flat", "c"), ("shaded", "a"), ("shaded", "b"))]  # fmt: skip
    drawings = torch.tensor([[0.0, 0.1, 0.1, 0.5, 0.3], [0.1, 0.0, 0.1, 0.6, 0.4], [0.1, 0.1, 0.0, 0.2, 0.7]])
    samples = torch.tensor([[0.9, 0.9, 0.9, 0.9, 0.15], [0.05, 0.9, 0.9, 0.9, 0.9], [0.9, 0.25, 0.9, 0.9, 0.9]])
    table = memory_table(samples, samples[:1], drawings, torch.tensor([0, 1, 2]), icons)
    rows = {row.name: row.values for row in table.rows}
    assert rows["other set"]["median"] == pytest.approx(0.3) and rows["other set"]["n"] == 3, "0.3, 0.4, 0.2"
    assert rows["other set"]["low"] == pytest.approx(0.21), "5 % of the way through 0.2, 0.3, 0.4"
    assert rows["same name"]["median"] == pytest.approx(0.45) and rows["same name"]["n"] == 2, "0.5 and 0.4"
    assert rows["samples"]["nearer"] == pytest.approx(2 / 3) and rows["samples"]["median"] == pytest.approx(0.15)
    alone = memory_table(samples[:, :3], samples[:1, :3], drawings[:, :3], torch.tensor([0, 1, 2]), icons[:3])
    assert [row.name for row in alone.rows] == ["samples", "re-drawn"] and alone.rows[0].values["nearer"] == 0


def test_names_are_drawn_once_each_and_by_the_seed(icons) -> None:
    assert sorted(draw_names(icons, 6, 0)) == list(NAMES)
    assert draw_names(icons, 4, 3) == draw_names(icons, 6, 3)[:4]
    assert len({draw_names(icons, 6, seed) for seed in range(4)}) > 1
    with pytest.raises(ValueError, match="needs 1 to 6 names, got 7; change --captions"):
        draw_names(icons, 7, 0)


def test_a_drawing_twice_bears_both_names(icons, pixels) -> None:
    """Some sets keep a drawing under an earlier name too: either is right."""
    twice = [*icons, replace(icons[0], name="scarlet square")]
    names = names_of_drawings(twice, torch.cat([pixels, pixels[:1]]))
    assert names[0] == names[-1] == {"red square", "scarlet square"} and names[1] == {"blue bar"}


def test_the_exam_of_emoji_from_end_to_end(folder, tmp_path, capsys) -> None:
    pipeline, out = tiny.make("sd", tmp_path), tmp_path / "exam"
    words = ["--captions", "5", "--steps", "2", "--seed", "1", "--out", str(out)]
    main(["exam", str(pipeline), "--icons", str(folder), *words])
    said = capsys.readouterr().out
    assert "5 names, one image each" in said and "Report:" in said and "shuffled names" in said
    results = json.loads((out / "exports" / "results.json").read_text())
    names = draw_names(read_icons(folder), 5, 1)
    assert [one["caption"] for one in results["facts"]["captions"]] == [with_article(name) for name in names]
    assert results["methods"]["re-drawn"]["top1"] == 1 and results["methods"]["pipeline"]["n"] == 5
    assert results["facts"]["memory"]["samples"]["median"] > results["facts"]["memory"]["re-drawn"]["median"]
    assert results["settings"]["captions"] == 5 and results["settings"]["steps"] == 2
    page = (out / "report.html").read_text()
    assert "Recalled: share nearer" in page and "↑" not in page, "categories do not compete"
    assert "draws what it remembers" in page and "Distance to the nearest drawing" in page
    assert (out / "media" / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((out / "exports").glob("image-*.png"))) == 5
    assert json.loads((out / "status.json").read_text())["state"] == "finished"


@pytest.mark.parametrize(
    "words, line",
    [
        (["emoji"], "the exam of emoji needs --icons, got none; try npm install @iconify-json/fluent-emoji-flat"),
        (
            ["emoji", "--icons", "nowhere"],
            "the icons must be npm packages, got none of @iconify-json/fluent-emoji-flat",
        ),
        (["emoji", "--icons", "ICONS", "--captions", "7"], "an exam needs 1 to 6 names, got 7"),
        (["emoji", "--icons", "ICONS", "--judge", "j"], "--judge must not be combined with --icons"),
        (["nothing", "--icons", "ICONS"], "there is no pipeline nothing"),
    ],
)
def test_mistakes_in_the_exam_of_emoji_are_one_line(folder, tmp_path, monkeypatch, capsys, words, line) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["exam", *(str(folder) if word == "ICONS" else word for word in words)])
    stderr = capsys.readouterr().err
    assert ended.value.code == 2 and line in stderr and stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
