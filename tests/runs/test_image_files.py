"""Image files of a run: their names, sizes and text chunks as Pillow reads them, and the contact sheet."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import modeseek as ms
from modeseek import runs
from modeseek.runs.api import create_run
from modeseek.runs.image_files import ImageSettings, contact_sheet, enlargement, image_names, write_images
from modeseek.runs.train import train

PRIOR = {"title": "mine", "sha256": "0123456789abcdef" * 4}


@pytest.mark.parametrize(
    ("prompts", "labels", "want"),
    [
        (["A red cone, on a blue cube!"], (), ["a-red-cone-on-a-blue-cube-s7"]),
        (["a cat", "a dog"], (), ["a-cat-s7", "a-dog-s7"]),
        (["a cat", "a dog"] * 2, (), ["a-cat-s7-1", "a-dog-s7-1", "a-cat-s7-2", "a-dog-s7-2"]),
        (["a cat", "A CAT"], (), ["a-cat-s7-1", "a-cat-s7-2"]),
        (["a"] * 10, (), [f"a-s7-{k:02d}" for k in range(1, 11)]),
        (["a cat"] * 2, ("az000", "az180"), ["a-cat-s7-az000", "a-cat-s7-az180"]),
        (["猫", "../../etc/passwd", "x" * 200], (), ["image-s7", "etc-passwd-s7", "x" * 60 + "-s7"]),
    ],
)
def test_names_say_prompt_and_seed(prompts: list[str], labels: tuple[str, ...], want: list[str]) -> None:
    assert image_names(prompts, 7, labels) == want


@pytest.mark.parametrize(
    ("size", "want"),
    [((64, 64), 8), ((96, 64), 5), ((8, 8), 16), ((28, 28), 16), ((300, 300), 2), ((512, 64), 1), ((1024, 1024), 1)],
)
def test_enlarged_images_have_about_512_pixels(size: tuple[int, int], want: int) -> None:
    assert enlargement(*size) == want


def settings(*prompts: str, negative: str = "", prompted: bool = True) -> ImageSettings:
    return ImageSettings(prompts, 7, "sds", 400, 101.0, "field", PRIOR, negative, prompted)


def test_a_png_says_how_it_was_made(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    images = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    write_images(ms.Run(tmp_path), images, settings("a red cone", "a café\nat night, 猫", negative="blurry, dark"))
    names = ["a-red-cone-s7.png", "a-caf-at-night-s7.png", "a-red-cone-s7@11x.png", "a-caf-at-night-s7@11x.png"]
    assert {path.name for path in (tmp_path / "exports").iterdir()} == set(names)
    for name, prompt in zip(names, ["a red cone", "a café\nat night, 猫"] * 2, strict=True):
        with Image.open(tmp_path / "exports" / name) as png:
            png.load()
            text, size = png.text, png.size
        large = "@" in name
        assert size == ((528, 352) if large else (48, 32))
        assert text.pop("Software") == f"modeseek {ms.__version__}"
        assert text.pop("parameters") == (
            f"{prompt}\nNegative prompt: blurry, dark\nSteps: 400, Sampler: SDS, CFG scale: 101, Seed: 7, "
            f"Size: {size[0]}x{size[1]}, Model hash: 0123456789, Model: mine, Version: modeseek {ms.__version__}"
        )
        assert text.pop("Enlarged", None) == ("11x, Lanczos" if large else None)
        assert text == {
            "Prompt": prompt,
            "Negative prompt": "blurry, dark",
            "Seed": "7",
            "Method": "sds",
            "Steps": "400",
            "Guidance scale": "101",
            "Generator": "field",
            "Prior": "mine",
            "Prior SHA-256": PRIOR["sha256"],
        }


def test_native_images_keep_their_pixels_and_lanczos_keeps_their_means(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    image = torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(1)).mul(255).round() / 255
    write_images(ms.Run(tmp_path), image, settings("noise", prompted=False))
    with Image.open(tmp_path / "exports" / "noise-s7.png") as png:
        assert png.mode == "L" and "Prompt" not in png.text
        np.testing.assert_array_equal(np.asarray(png), (image[0, 0] * 255).numpy())
    with Image.open(tmp_path / "exports" / "noise-s7@13x.png") as png:
        assert np.asarray(png).mean() / 255 == pytest.approx(image.mean().item(), abs=0.01)


def test_at_most_16_images_are_enlarged_and_none_is_shrunk(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    run = ms.Run(tmp_path)
    write_images(run, torch.rand(18, 1, 32, 32), settings(*["a"] * 18))
    write_images(run, torch.rand(1, 3, 600, 20), settings("b"))
    names = sorted(path.name for path in (tmp_path / "exports").iterdir())
    large = [name for name in names if "@" in name]
    assert len(names) == 18 + 16 + 1 and large == [f"a-s7-{k:02d}@16x.png" for k in range(1, 17)]


def test_a_generator_without_a_fixed_resolution_renders_the_large_images_itself(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()

    def render(size: tuple[int, int]) -> list[Tensor]:
        return [torch.full((3, *size), value) for value in (0.2, 0.6)]

    write_images(ms.Run(tmp_path), torch.zeros(2, 3, 64, 64), settings("a", "b"), lambda size: iter(render(size)))
    for name, want in (("a", 51), ("b", 153)):
        with Image.open(tmp_path / "exports" / f"{name}-s7@8x.png") as png:
            assert png.size == (512, 512) and png.text["Enlarged"] == "8x, rendered"
            assert np.unique(np.asarray(png)).tolist() == [want]


@pytest.mark.parametrize(
    ("n", "captions", "table"),
    [(1, ["a"], (1, 1)), (5, (), (3, 2)), (6, ["a", "b"] * 3, (2, 3)), (3, ["a", "b", "c"], (2, 2)), (100, (), (8, 8))],
)
def test_the_contact_sheet_enlarges_whole_pixels(n: int, captions: list[str], table: tuple[int, int]) -> None:
    images = torch.arange(n).div(2 * n)[:, None, None, None].expand(-1, 3, 100, 100)
    with Image.open(io.BytesIO(contact_sheet(images, captions))) as sheet:
        columns, rows = table
        text = sheet.height - rows * 300 - (rows + 1) * 14
        assert sheet.width == columns * 300 + (columns + 1) * 14 and (text > 0) == bool(captions)
        first = np.asarray(sheet)[14:314, 14 : 14 + 300]
        assert (first == 0).all()


def test_a_run_of_fields_has_its_sheet_and_its_true_512_pixels(tmp_path: Path) -> None:
    config = ms.Config(
        runs.ToyPriorConfig("digits"), ms.SDS(), runs.FieldConfig(2, width=8, depth=1), label=3, steps=2, previews=0,
        seed=5, device="cpu",
    )  # fmt: skip
    run, objects = create_run(config, ["modeseek"], tmp_path / "run")
    for _ in train(run, objects, config.steps):
        pass
    files = sorted(path.name for path in (run.path / "exports").glob("*.png"))
    assert [re.sub(r"@\d+x", "@", name) for name in files] == [
        f"digits-class-3-s5-{k}{size}.png" for k in (1, 2) for size in ("", "@")
    ]
    field = objects.generator
    assert isinstance(field, ms.Field)
    with torch.no_grad():
        want = (field.render(128, 128)[1, 0].clamp(0, 1) * 255).round().numpy()
    with Image.open(run.path / "exports" / "digits-class-3-s5-2@16x.png") as png:
        np.testing.assert_allclose(np.asarray(png, dtype=float), want, atol=1)
        assert png.text["Enlarged"] == "16x, rendered" and png.text["Prior SHA-256"] == objects.loaded.sha256
        assert "Prompt" not in png.text and png.text["Method"] == "sds"
    with Image.open(run.path / "results.png") as sheet:
        assert sheet.size == (2 * 256 + 3 * 14, 256 + 2 * 14)
