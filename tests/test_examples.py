"""The examples run, are short, and converge as documented."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modeseek.generators.mesh.read import read_mesh

EXAMPLES = Path(__file__).parents[1] / "examples"


PLANE, IMAGES = ["mean_shift_samples", "msd_mixture", "own_loop"], ["image", "image_loop", "nerf_loop", "shape"]


def test_each_is_tested() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted([*PLANE, *IMAGES])


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_it_is_under_sixty_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60


def printed(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out


def test_mean_shift_finds_the_three_clusters(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed("mean_shift_samples", capsys)
    found = re.findall(r"mode at \(([-+.\d]+), ([-+.\d]+)\) holds (\d+)%", out)
    assert len(found) == 3
    for x, y in ((-2.0, 0.0), (2.0, 0.5), (0.0, 3.0)):
        assert min((float(a) - x) ** 2 + (float(b) - y) ** 2 for a, b, _ in found) <= 0.2**2
    assert out.count("converged: True") == 2


def test_msd_ends_in_certified_modes(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed("msd_mixture", capsys)
    assert "certified modes: 50 of 50" in out
    assert float(re.search(r"to a mean: (\S+)", out)[1]) <= 1e-3


@pytest.mark.slow
def test_a_custom_loop_reaches_the_ring(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed("own_loop", capsys)
    assert float(re.search(r"nearest mean: (\S+)", out)[1]) <= 0.2


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Function that runs an example with options, in a folder of its own."""
    pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
    pytest.importorskip("skimage", reason="pip install -e '.[mesh]' runs the tests of meshes")
    monkeypatch.setenv("MODESEEK_CACHE", str(tmp_path / "cache"))

    def run(name: str, *options: str) -> Path:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", [f"{name}.py", *options])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return tmp_path

    return run


@pytest.mark.slow
def test_images_are_made_by_one_call(small: Callable[..., Path]) -> None:
    folder = small("image", "a red cone", "a cube", "--steps", "2") / "images"
    for name in ("a-red-cone.png", "a-cube.png"):
        with Image.open(folder / name) as image:
            assert image.size == (512, 512) and np.asarray(image).std() > 0
    assert (folder / "film.mp4").stat().st_size > 500 and (folder / "run" / "report.html").exists()


@pytest.mark.slow
def test_a_shape_is_made_by_one_call(small: Callable[..., Path]) -> None:
    folder = small("shape", "--prior", "scenes", "--steps", "1", "--size", "32", "--frames", "2") / "shape"
    for suffix in ("glb", "ply", "stl"):
        assert (folder / f"mesh.{suffix}").stat().st_size > 10_000
    assert (folder / "turntable.mp4").stat().st_size > 500 and (folder / "run" / "report.html").exists()


@pytest.mark.slow
def test_the_loop_of_an_image_follows_its_prompt(small: Callable[..., Path]) -> None:
    with Image.open(small("image_loop", "--steps", "12") / "image.png") as image:
        pixels = np.asarray(image).astype(float) / 255
    assert pixels.shape == (512, 512, 3)
    top, bottom = pixels[100:256, 226:286].mean((0, 1)), pixels[290:400, 226:286].mean((0, 1))
    assert top[0] > top[2] + 0.1 and bottom[2] > bottom[0] + 0.1  # a red cone on a blue cube


def test_the_loop_of_a_nerf_ends_in_a_mesh(small: Callable[..., Path]) -> None:
    folder = small("nerf_loop", "--steps", "2", "--resolution", "24", "--out", "mesh.ply")
    assert len(read_mesh(folder / "mesh.ply", torch.empty(0)).faces) > 100


@pytest.mark.parametrize(("page", "most"), [("image_in_ten_lines", 10), ("nerf_in_fifteen_lines", 15)])
def test_a_page_has_as_many_lines_as_its_title_says(page: str, most: int) -> None:
    cells = re.findall(r"```{code-cell} python\n(.*?)```", (EXAMPLES.parent / "docs" / f"{page}.md").read_text(), re.S)
    (loop,) = [cell for cell in cells if "ms.distill(" in cell]
    assert len([line for line in loop.splitlines() if line.strip() and not line.startswith(("#", ":"))]) == most
