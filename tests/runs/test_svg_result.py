"""`ms.svg`: the run of `modeseek svg`, from Python, with SVG files and images as results."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cases import one_line

import modeseek as ms

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
pytest.importorskip("skimage", reason="pip install -e '.[vector]' runs the tests of drawings")
import tiny  # noqa: E402 - needs diffusers

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> ms.Pipeline:
    return ms.Pipeline.from_pretrained(tiny.make("sd", tmp_path_factory.mktemp("sd")), size=16, cache=None)


@pytest.fixture(scope="module")
def drawn(loaded: ms.Pipeline, tmp_path_factory: pytest.TempPathFactory) -> ms.SvgResult:
    out = tmp_path_factory.mktemp("svg") / "run"
    return ms.svg(
        ["a red cone", "a cube"], loaded, ms.SDS(), start="random", paths=3, steps=2, cubics=3, seed=5, out=out
    )


def test_the_result_has_svgs_images_and_the_run(drawn: ms.SvgResult, tmp_path: Path) -> None:
    assert drawn.run.status.state == "finished" and drawn.run.command == "modeseek.svg"
    assert len(drawn.svgs) == 2 and drawn.svg == drawn.svgs[0] and "<title>a red cone</title>" in drawn.svg
    for index, text in enumerate(drawn.svgs):
        path = drawn.save(tmp_path / f"{index}.svg", index)
        assert path.read_text() == text
    assert [image.size for image in drawn.images] == [(256, 256)] * 2
    small = torch.nn.functional.avg_pool2d(drawn.pixels, 16)
    assert (small - drawn.generator(drawn.generator.preview_view()).image.detach()).abs().mean() < 2e-3
    assert drawn.video(tmp_path / "film.gif").read_bytes()[:4] == b"GIF8"


def test_a_drawing_is_read_and_edited_in_python(drawn: ms.SvgResult, tmp_path: Path) -> None:
    drawing = ms.Drawing.read(drawn.save(tmp_path / "cone.svg"))
    assert drawing.size == (16, 16) and drawing.svg(title="a red cone").count("<path") == drawn.svg.count("<path")


MISTAKES = {
    "prompt": (lambda p: ms.svg("", p), ValueError, "prompts must not be empty"),
    "a number": (lambda p: ms.svg(3, p), TypeError, "prompts must be text or a list of texts, got 3"),
    "option": (lambda p: ms.svg("a", p, path=3), TypeError, "ms.svg has no option 'path'; did you mean paths?"),
    "start": (lambda p: ms.svg("a", p, start="rand"), ValueError, "start must be sample, saliency, random or an SVG"),
    "size": (lambda p: ms.svg("a", p, size=16), ValueError, "size must be set where the pipeline is loaded"),
    "no paths": (lambda p: ms.svg("a", p, paths=0), ValueError, "a drawing must have a path"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_no_folder(
    case: str, loaded: ms.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unchecked: None
) -> None:
    monkeypatch.chdir(tmp_path)
    call, kind, words = MISTAKES[case]
    with pytest.raises(kind) as caught:
        call(loaded)
    assert words in one_line(caught.value) and not (tmp_path / "runs").exists()


def test_only_svg_files_and_drawings_that_exist_are_written(drawn: ms.SvgResult, tmp_path: Path) -> None:
    for path, index, words in (
        ("a.png", 0, "a drawing must be written to a .svg file"),
        ("a.svg", 2, "index must be 0 to 1"),
    ):
        with pytest.raises(ValueError) as caught:
            drawn.save(tmp_path / path, index)
        assert words in one_line(caught.value)
