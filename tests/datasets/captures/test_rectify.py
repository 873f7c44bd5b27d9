"""Photographs resampled for cameras that look at the origin, against the direction that each of their pixels shows."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.optimize import fsolve

from modeseek.datasets.captures import Capture, Framing, Lens, PosedPhotograph, rectify
from modeseek.io.image_files import image_file_size, read_stored_mask, stored_image_size

W, H, SIZE = 120, 90, 24
LENS = Lens(W, H, (110.0, 100.0), (55.0, 50.0), (-0.25, 0.08, 0.0, 0.0), (0.004, -0.003))


def colour(direction: np.ndarray) -> np.ndarray:
    """Colour of a world that is infinitely far, by unit direction."""
    d = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    return 0.5 + 0.4 * np.sin(np.array([7.0, 9.0, 8.0]) * d + np.array([0.3, 1.0, 2.0]))


def undistorted(u: float, v: float) -> np.ndarray:
    """Direction (x, y, 1) that the lens shows at a pixel, found by a root finder."""
    k1, k2, p1, p2 = LENS.radial[0], LENS.radial[1], *LENS.tangential

    def error(xy: np.ndarray) -> tuple[float, float]:
        x, y = xy
        r = x * x + y * y
        g = 1 + k1 * r + k2 * r * r
        return (
            110 * (g * x + 2 * p1 * x * y + p2 * (r + 2 * x * x)) + 55 - u,
            100 * (g * y + p1 * (r + 2 * y * y) + 2 * p2 * x * y) + 50 - v,
        )

    x, y = fsolve(error, ((u - 55) / 110, (v - 50) / 100), xtol=1e-10)
    return np.array([x, y, 1.0])


def rotation() -> torch.Tensor:
    """Camera near (3, -4, 2) that looks past the origin and is turned about its axis."""
    forward = np.array([-3.1, 4.2, -1.7])
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0, 1])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = math.cos(0.3), math.sin(0.3)
    return torch.tensor(np.stack([c * right + s * down, c * down - s * right, forward], 1))


def photograph(folder: Path, mask: bool = False) -> PosedPhotograph:
    axes = rotation().numpy()
    pixels = np.array([[undistorted(i + 0.5, j + 0.5) for i in range(W)] for j in range(H)])
    image = colour(pixels @ axes.T)
    Image.fromarray((255 * image).round().astype(np.uint8)).save(folder / "a.png")
    if mask:
        half = np.full((H, W), 255, np.uint8)
        half[:, : W // 2] = 0
        Image.fromarray(half).save(folder / "mask.png")
    position = torch.tensor([3.0, -4.0, 2.0], dtype=torch.float64)
    return PosedPhotograph(folder / "a.png", folder / "mask.png" if mask else None, LENS, rotation(), position)


def test_each_pixel_has_the_colour_of_its_direction(tmp_path: Path) -> None:
    """A world z up: a direction (x, y, z) of the shape's cameras is (x, -z, y) of the file's."""
    given = photograph(tmp_path)
    framing = Framing.fit(Capture(tmp_path, (given,)), 1.2, "z", centre=(0.0, 0.0, 0.0), scale=0.4)
    camera = framing.cameras(Capture(tmp_path, (given,)))
    found = rectify(given, framing, camera, SIZE)
    x, y, z = camera.rays(SIZE)[1][0].unbind(-1)
    truth = colour(torch.stack([x, -z, y], -1).numpy())
    seen = found.seen[0].bool()
    error = (found.image.permute(1, 2, 0) - torch.tensor(truth)).abs()[seen]
    assert 0.5 < seen.float().mean() < 0.95 and error.max() < 0.02


def test_masked_pixels_do_not_count(tmp_path: Path) -> None:
    whole, masked = photograph(tmp_path), photograph(tmp_path, mask=True)
    framing = Framing.fit(Capture(tmp_path, (whole,)), 1.2, "z", centre=(0.0, 0.0, 0.0), scale=1.0)
    camera = framing.cameras(Capture(tmp_path, (whole,)))
    all_of_it, half = (rectify(item, framing, camera, SIZE) for item in (whole, masked))
    world = camera.rays(SIZE)[1][0].double() @ framing.axes
    column = LENS.project(world @ rotation())[0][..., 0]
    left, right = column < W / 2 - 4, column > W / 2 + 4
    assert torch.equal(half.image, all_of_it.image)
    assert half.seen[0][left].sum() == 0 and torch.equal(half.seen[0][right], all_of_it.seen[0][right])


@pytest.mark.parametrize("orientation", [3, 6])
def test_photographs_are_read_as_their_cameras_were_calibrated(orientation: int, tmp_path: Path) -> None:
    """A rotation by EXIF, which viewers apply, is not one of the camera's pixels."""
    given = photograph(tmp_path)
    framing = Framing.fit(Capture(tmp_path, (given,)), 1.2, "z", centre=(0.0, 0.0, 0.0), scale=1.0)
    camera = framing.cameras(Capture(tmp_path, (given,)))
    plain = rectify(given, framing, camera, SIZE)
    image = Image.open(given.file)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "turned.png", exif=exif)
    turned = rectify(replace(given, file=tmp_path / "turned.png"), framing, camera, SIZE)
    assert torch.equal(turned.image, plain.image)
    assert image_file_size(tmp_path / "turned.png") == ((W, H) if orientation == 6 else (H, W))
    assert stored_image_size(tmp_path / "turned.png") == (H, W)


def test_masks_are_black_or_transparent_where_nothing_counts(tmp_path: Path) -> None:
    layers = np.full((2, 2, 4), 255, np.uint8)
    layers[0, 0, 3] = 0
    layers[0, 1, :3] = 0
    Image.fromarray(layers).save(tmp_path / "alpha.png")
    Image.fromarray(np.array([[0, 1], [127, 255]], np.uint8)).save(tmp_path / "grey.png")
    assert read_stored_mask(tmp_path / "alpha.png").tolist() == [[[0, 0], [1, 1]]]
    assert read_stored_mask(tmp_path / "grey.png").tolist() == [[[0, 1], [1, 1]]]


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    item = photograph(tmp_path, mask=True)
    Image.new("L", (W, H + 1), 255).save(tmp_path / "mask.png")
    framing = Framing.fit(Capture(tmp_path, (item,)), 1.2, "z", centre=(0.0, 0.0, 0.0), scale=1.0)
    camera = framing.cameras(Capture(tmp_path, (item,)))
    with pytest.raises(ValueError, match=r"mask.png must have the size of a.png, 120 x 90 pixels, got 120 x 91"):
        rectify(item, framing, camera, SIZE)


def test_a_fine_photograph_has_the_colours_of_its_directions(tmp_path: Path) -> None:
    """In a view of 3 x 3 pixels, 16 pixels of the photograph along each, it is the mean of their colours."""
    given = photograph(tmp_path)
    framing = Framing.fit(Capture(tmp_path, (given,)), 1.2, "z", centre=(0.0, 0.0, 0.0), scale=1.0)
    camera = framing.cameras(Capture(tmp_path, (given,)))
    found = rectify(given, framing, camera, 3)
    x, y, z = camera.rays(3 * 24)[1][0].unbind(-1)
    truth = colour(torch.stack([x, -z, y], -1).numpy()).reshape(3, 24, 3, 24, 3).mean((1, 3))
    assert found.seen.all() and (found.image.permute(1, 2, 0) - torch.tensor(truth)).abs().max() < 0.02


def test_a_fine_photograph_is_averaged(tmp_path: Path) -> None:
    """Stripes of one pixel are grey in a view of a tenth of the resolution, not stripes of another width."""
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "a.png")
    axes = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=torch.float64)
    position = torch.tensor([0.0, -4.0, 0.0], dtype=torch.float64)
    item = PosedPhotograph(tmp_path / "a.png", None, Lens(400, 400, (400.0, 400.0), (200.0, 200.0)), axes, position)
    framing = Framing.fit(Capture(tmp_path, (item,)), 1.2, "z", centre=(0.0, 0.0, 0.0), scale=1.0)
    found = rectify(item, framing, framing.cameras(Capture(tmp_path, (item,))), 37)  # 6.5 pixels of the file in one
    inner = found.image[:, found.seen[0].bool()]
    assert inner.numel() > 1000 and (inner - 0.5).abs().max() < 0.1
