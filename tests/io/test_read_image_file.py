"""Image files that people bring: formats, transparency, rotation, crop and size, and what is no image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modeseek.io.image_files import check_image_file, read_image_file
from modeseek.io.remarks import collect_remarks

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.PNG"])
def test_pixels_of_the_right_size_are_kept_and_nothing_is_said(name: str, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / name, "WEBP" if name.endswith("webp") else "PNG", lossless=True)
    with collect_remarks() as remarks:
        image = read_image_file(tmp_path / name, (8, 8))
    assert torch.equal(image, torch.from_numpy(PIXELS).permute(2, 0, 1).float() / 255) and remarks == []


def test_transparent_pixels_lie_on_white(tmp_path: Path) -> None:
    alpha = np.zeros((8, 8), np.uint8)
    alpha[:, 4:], alpha[0, 0] = 255, 51
    Image.fromarray(np.dstack([PIXELS, alpha])).save(tmp_path / "a.png")
    image = read_image_file(tmp_path / "a.png", (8, 8))
    expected = torch.from_numpy(PIXELS.copy()).permute(2, 0, 1).float() / 255
    assert torch.equal(image[:, 1:, :4], torch.ones(3, 7, 4)) and torch.equal(image[:, :, 4:], expected[:, :, 4:])
    assert torch.allclose(image[:, 0, 0], 0.8 + 0.2 * expected[:, 0, 0], atol=1 / 255)
    Image.fromarray(PIXELS[..., 0]).convert("P").save(tmp_path / "p.png", transparency=int(PIXELS[3, 3, 0]))
    assert (read_image_file(tmp_path / "p.png", (8, 8))[:, 3, 3] == 1).all()


def test_the_middle_is_kept_at_the_ratio_of_the_sides(tmp_path: Path) -> None:
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 32:64] = (255, 0, 0)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide.transpose(1, 0, 2).copy()).save(tmp_path / "tall.png")
    red = torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 16, 16)
    for name, given in (("wide.png", "96 x 32"), ("tall.png", "32 x 96")):
        with collect_remarks() as remarks:
            assert torch.equal(read_image_file(tmp_path / name, (16, 16)), red)
        assert remarks == [f"{name}, {given} pixels, was cropped to its middle 32 x 32 and resized to 16 x 16"]
    with collect_remarks() as remarks:
        assert read_image_file(tmp_path / "wide.png", (16, 48)).shape == (3, 16, 48)
    assert remarks == ["wide.png, 96 x 32 pixels, was resized to 48 x 16"]


def test_a_photograph_stands_upright(tmp_path: Path) -> None:
    upright = np.zeros((16, 16, 3), np.uint8)
    upright[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned by 90 degrees
    Image.fromarray(np.rot90(upright).copy()).save(tmp_path / "a.jpg", quality=100, exif=exif)
    image = read_image_file(tmp_path / "a.jpg", (16, 16))
    assert (image[:, :6] > 0.9).all() and (image[:, 10:] < 0.1).all()


def test_grey_images_of_8_and_16_bits(tmp_path: Path) -> None:
    Image.fromarray(PIXELS[..., 0]).save(tmp_path / "8.png")
    Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257).save(tmp_path / "16.png")
    expected = torch.from_numpy(PIXELS[..., 0]).float() / 255
    for name in ("8.png", "16.png"):
        assert torch.equal(read_image_file(tmp_path / name, (8, 8)), expected.expand(3, 8, 8))
        assert torch.equal(read_image_file(tmp_path / name, (8, 8), channels=1), expected[None])


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    Image.fromarray(PIXELS).save(tmp_path / "b.bmp")
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:3000])
    for name in ("a.png", "b.bmp"):
        for read in (check_image_file, lambda path: read_image_file(path, (8, 8))):
            with pytest.raises(ValueError, match="must be a PNG, JPEG or WebP image, got another kind of file; try"):
                read(tmp_path / name)
    with pytest.raises(ValueError, match=r"half.png must be a PNG, JPEG or WebP image, got .+; try another file"):
        read_image_file(tmp_path / "half.png", (8, 8))
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(OSError, match=path.name):
            check_image_file(path)
