"""Coordinate networks and image pyramids: shapes, gradients, resolution, fitting, and independence of items."""

from __future__ import annotations

import math

import pytest
import torch

import modeseek as ms
from modeseek.generators.field import Field
from modeseek.generators.image import Image, Latent


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def target_image(side: int = 24) -> torch.Tensor:
    """Smooth waves and a sharp edge."""
    ticks = (2 * torch.arange(side) + 1) / side - 1
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    edge = ((x**2 + y**2) < 0.4).float()
    return torch.stack([0.5 + 0.4 * torch.sin(5 * x), 0.2 + 0.6 * edge, 0.5 + 0.3 * y])[None]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "lr"), [("fourier", 0.01), ("siren", 0.001), ("hash", 0.02)])
def test_a_field_fits_an_image(kind: str, lr: float) -> None:
    field, want = Field(2, (24, 24), rng(), kind, width=64), target_image()
    optimizer = torch.optim.Adam(field.parameters(), lr=lr)
    view = field.view(2, rng())
    assert field(view).shape == (2, 3, 24, 24)
    first = (field(view) - want).square().mean().item()
    for _ in range(150):
        optimizer.zero_grad()
        (field(view) - want).square().mean().backward()
        optimizer.step()
    assert (field(view) - want).square().mean().item() < min(2e-3, 0.05 * first)


@pytest.mark.parametrize("kind", ["fourier", "siren", "hash"])
def test_images_do_not_depend_on_each_other_or_on_the_raster(kind: str) -> None:
    field = Field(3, (8, 8), rng(), kind, width=16, like=torch.empty(0, dtype=torch.float64))
    image = field(field.view(3, rng()))
    assert abs(image.mean() - 0.5) < 0.3 and image.dtype == torch.float64
    assert (image[0] - image[1]).abs().max() > 1e-3
    image[1].sum().backward()
    for parameter in field.parameters():
        assert parameter.grad is not None
        assert parameter.grad[1].abs().max() > 0 and parameter.grad[[0, 2]].abs().max() == 0
    wide = field.render(24, 24)[:, :, 1::3, 1::3]  # every third pixel centre is one of the coarse raster
    assert torch.allclose(wide, image, atol=1e-12)
    again = Field(3, (8, 8), rng(), kind, width=16, like=torch.empty(0, dtype=torch.float64))
    assert torch.equal(again(again.view(3, rng())), image)


@pytest.mark.parametrize("kind", ["fourier", "siren", "hash"])
def test_chunks_of_pixels_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 70 pixels, or of 29: the image and every gradient equal those of the whole."""
    like, grad = torch.empty(0, dtype=torch.float64), torch.randn(2, 3, 7, 10, generator=rng(1), dtype=torch.float64)
    results = []
    for numbers in (10**6, 29 * 2 * 16):
        monkeypatch.setattr("modeseek.generators.field.CPU_CHUNK", numbers)
        field = Field(2, (7, 10), rng(), kind, width=16, like=like)
        image = field(field.view(2, rng()))
        image.backward(grad)
        results.append([image.detach(), *(parameter.grad for parameter in field.parameters())])
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-12)


def test_a_gradient_reaches_pixels_out_of_range() -> None:
    field = Field(1, (4, 4), rng(), width=16)
    with torch.no_grad():
        field.biases[-1].add_(200.0)
    image = field(field.view(1, rng()))
    (image - 0.5).square().mean().backward()
    grad = field.biases[-1].grad
    assert image.min() > 10 and grad is not None and grad.min() > 1


def test_a_hashed_grid_is_a_bilinear_grid_where_it_fits() -> None:
    """Against grid_sample with aligned corners; no hashing below 64 x 64."""
    field = Field(1, (8, 8), rng(), "hash", width=8, like=torch.empty(0, dtype=torch.float64))
    side = field.grids[0]
    table = field.tables[0, 0, : (side + 1) ** 2].reshape(side + 1, side + 1, 2).permute(2, 0, 1)[None]
    coordinates = 2 * torch.rand(50, 2, generator=rng(1), dtype=torch.float64) - 1
    want = torch.nn.functional.grid_sample(table, coordinates.flip(1)[None, None], align_corners=True)[0, :, 0].T
    assert torch.allclose(field._corners(coordinates, 0, field.tables[:, 0])[0], want, atol=1e-12)


def test_fourier_features_have_the_given_frequency() -> None:
    field = Field(1, (4, 4), rng(), width=4096, depth=1, frequency=2.0)
    assert field.get_buffer("waves").std().item() == pytest.approx(2.0, rel=0.03)


def test_a_pyramid_starts_as_its_pixels_and_every_level_gets_a_gradient() -> None:
    pixels = torch.rand(2, 3, 13, 9, generator=rng())
    image = Image(pixels, levels=4)
    assert torch.equal(image(image.view(2, rng())), pixels)
    assert [tuple(grid.shape[2:]) for grid in image.coarser] == [(7, 5), (4, 3), (2, 2)]
    loss = image(image.view(2, rng()))[0, 0, 6, 4]
    loss.backward()
    assert all(grid.grad is not None and grid.grad[0, 0].abs().max() > 0 for grid in image.coarser)
    assert image.coarser[0].grad is not None and image.coarser[0].grad[1].abs().max() == 0


@pytest.mark.parametrize("levels", [0, 5])
def test_an_invalid_pyramid_is_refused(levels: int) -> None:
    with pytest.raises(ValueError, match="pyramid levels must be >= 1"):
        Image(torch.zeros(1, 3, 8, 8), levels)


def test_latents_are_items() -> None:
    latent = Latent(torch.zeros(3, 4, 2, 2))
    assert latent.view(3, rng()).items == (0, 1, 2)
    with pytest.raises(ValueError, match="3 images are 3 items, got batch=2"):
        latent.view(2, rng())
    with pytest.raises(ValueError, match="latents must be finite"):
        Latent(torch.full((1, 2), math.nan))


@pytest.mark.parametrize("options", [{"kind": "mlp"}, {"width": 0}, {"depth": 0}, {"frequency": 0.0}, {"channels": 0}])
def test_an_invalid_field_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(Exception, match="a field|kind"):
        Field(1, (4, 4), rng(), **options)  # pyright: ignore[reportArgumentType]


def test_a_field_under_msd_reaches_the_data() -> None:
    """The prior is two images; the field, whose capacity is ample, converges to one of them."""
    data = torch.stack([target_image(8)[0], 1 - target_image(8)[0]])
    prior = ms.Empirical(2 * data - 1, ms.VE(0.02, 20.0))
    field = Field(4, (8, 8), rng(), width=64)
    run = ms.distill(
        field,
        prior,
        ms.MSD(ms.Geometric(4.0, 0.1)),
        torch.optim.Adam(field.parameters(), lr=0.01),
        steps=250,
        batch=4,
        codec=ms.codec.RangeCodec(),
        rng=ms.Streams(0),
    )
    for _ in run:
        pass
    ends = field(field.view(4, rng()))
    assert torch.cdist(ends.flatten(1), data.flatten(1)).amin(1).max() < 0.8  # the two images are 7.6 apart
