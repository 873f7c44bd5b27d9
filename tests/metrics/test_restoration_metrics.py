"""PSNR and SSIM against scikit-image, and distances of features."""

from __future__ import annotations

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from modeseek.metrics.restoration import psnr, relative_distance, ssim


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 17)])
def test_psnr_and_ssim_are_those_of_scikit_image(channels: int, side: int) -> None:
    rng = torch.Generator().manual_seed(0)
    truth = torch.rand(3, channels, side, side, generator=rng, dtype=torch.float64)
    image = (truth + 0.2 * torch.randn(truth.shape, generator=rng, dtype=torch.float64)).clamp(0, 1)
    for row, (x, y) in enumerate(zip(image.numpy(), truth.numpy(), strict=True)):
        assert psnr(image, truth)[row].item() == pytest.approx(peak_signal_noise_ratio(y, x, data_range=1.0))
        wanted = structural_similarity(y, x, data_range=1.0, channel_axis=0)
        assert ssim(image, truth)[row].item() == pytest.approx(wanted, abs=1e-9)


def test_equal_images_have_the_best_scores() -> None:
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    assert psnr(image, image).tolist() == [100.0, 100.0]
    assert torch.allclose(ssim(image, image), torch.ones(2))


def test_relative_distance() -> None:
    truth = torch.tensor([[3.0, 4.0]])
    assert relative_distance(torch.tensor([[3.0, 0.0]]), truth).item() == pytest.approx(0.8)


def test_ssim_of_small_images_is_refused() -> None:
    with pytest.raises(ValueError, match="SSIM needs images of at least 7"):
        ssim(torch.ones(1, 1, 6, 8), torch.ones(1, 1, 6, 8))
