"""Formulas of the training of the bundled priors: losses, averages, schedules, principal components, targets."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_training import MODEL

import modeseek.priors.pipeline.vae as ms_vae
from modeseek.datasets.scenes import Scenes
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.vocabulary import COLOURS
from tools.bundled_priors.caption_targets import TARGET_SIZES, caption_targets
from tools.bundled_priors.ema import decay_at, update_average
from tools.bundled_priors.losses import psnr, reconstruction_loss, velocity_loss
from tools.bundled_priors.lr_schedule import StageDuration, learning_rate
from tools.bundled_priors.model import build_model, write_tokenizer
from tools.bundled_priors.patch_pca import patch_components, write_encoder
from tools.bundled_priors.sample_grid import grid_png
from tools.bundled_priors.threaded_gradient import accumulate_gradient


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    write_tokenizer(folder, MODEL, ["a red cone on a blue cube", "a blue cube, side view", "the house"])
    return folder


def test_velocity_loss_is_the_formula(rng):
    """v = alpha eps - sigma z, at z_t = alpha z + sigma eps; float64, written with the angle instead."""

    def unet(z_t, index, encoder_hidden_states, return_dict):
        return (torch.sin(z_t) * encoder_hidden_states.mean((1, 2))[:, None, None, None] + index[:, None, None, None],)

    alpha_squared = torch.rand(7, generator=rng, dtype=torch.float64)
    z, eps = (torch.randn(3, 2, 4, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    words, index = torch.rand(3, 5, 6, generator=rng, dtype=torch.float64), torch.tensor([0, 6, 3])
    got = velocity_loss(unet, words, z, eps, index, alpha_squared)
    for i, level in enumerate(index.tolist()):
        angle = math.acos(math.sqrt(alpha_squared[level].item()))
        z_t = math.cos(angle) * z[i] + math.sin(angle) * eps[i]
        answer = torch.sin(z_t) * words[i].mean() + level
        wanted = ((answer - (math.cos(angle) * eps[i] - math.sin(angle) * z[i])) ** 2).mean()
        torch.testing.assert_close(got[i], wanted, rtol=1e-6, atol=1e-6)  # the loss is taken in float32


def test_reconstruction_loss_by_hand():
    image = torch.zeros(1, 1, 2, 2)
    answer = torch.tensor([[[[1.0, -1.0], [0.0, 2.0]]]])
    # |d| 1 1 0 2 -> 1; d^2 1 1 0 4 -> 1.5; down 1, 3 -> 2; across 2, 2 -> 2
    assert reconstruction_loss(answer, image, 0.25).item() == pytest.approx(1 + 1.5 + 0.25 * 4)


def test_psnr_of_a_known_error():
    assert psnr(torch.full((1, 3, 2, 2), 0.6), torch.full((1, 3, 2, 2), 0.5)) == pytest.approx(20.0, abs=1e-4)


def test_average_is_its_closed_form(rng):
    """Average of weights w_n: prod d_n w + sum (1 - d_n) prod_{m > n} d_m w_n."""
    average, now = torch.nn.Linear(2, 2).double(), torch.nn.Linear(2, 2).double()
    start = average.weight.detach().clone()
    seen = []
    for step in range(12):
        with torch.no_grad():
            now.weight.copy_(torch.randn(2, 2, generator=rng, dtype=torch.float64))
        seen.append(now.weight.detach().clone())
        share = torch.tensor(1 - decay_at(step, 0.5), dtype=torch.float64)
        update_average(list(average.parameters()), list(now.parameters()), share)
    decays = [min(0.5, (1 + n) / (10 + n)) for n in range(12)]
    wanted = math.prod(decays) * start
    for n, weight in enumerate(seen):
        wanted = wanted + (1 - decays[n]) * math.prod(decays[n + 1 :]) * weight
    torch.testing.assert_close(average.weight.detach(), wanted)
    assert decay_at(10**9, 0.999) == 0.999


def test_rate_warms_falls_and_climbs_again():
    rates, last = [], 0.0
    for step in range(100):
        last = learning_rate(step / 100, last, peak=1.0, warm=10)
        rates.append(last)
    assert rates[:9] == pytest.approx([(n + 1) / 10 for n in range(9)])
    assert rates[50] == pytest.approx(0.5) and rates[-1] == pytest.approx(math.cos(math.pi * 0.99 / 2) ** 2)
    assert learning_rate(0.5, 0.0, peak=1.0, warm=10) == 0.1  # a larger budget: towards 0.5 in steps of a tenth


def test_stage_duration_by_time_and_by_steps():
    assert StageDuration(100.0, 300.0).progress(0, 150.0) == 0.25
    assert StageDuration(100.0, 300.0).progress(10**6, 90.0) == 0.0 and StageDuration(0.0, 1.0).progress(0, 5.0) == 1.0
    assert StageDuration(0.0, 1.0, steps=8).progress(2, 1e6) == 0.25


def patch_vectors(image: torch.Tensor, patch: int) -> np.ndarray:
    """(n, rows, columns, 3 patch^2) of pixels in [-1, 1]: colour, row, column, cut by hand."""
    n, _, height, width = image.shape
    out = np.empty((n, height // patch, width // patch, 3 * patch**2))
    for i, j, c, y, x in np.ndindex(height // patch, width // patch, 3, patch, patch):
        pixel = image[:, c, patch * i + y, patch * j + x].numpy()
        out[:, i, j, (c * patch + y) * patch + x] = 2 * pixel - 1
    return out


def test_components_are_numpys_svd(rng):
    image = torch.rand(20, 3, 8, 8, generator=rng, dtype=torch.float64).cumsum(-1) / 8
    pca = patch_components(image, 4, 5)
    rows = patch_vectors(image, 4).reshape(-1, 48)
    _, spread, axes = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    np.testing.assert_allclose(pca.mean.numpy(), rows.mean(0), atol=1e-6)
    np.testing.assert_allclose(pca.spread.numpy(), spread[:5] / math.sqrt(len(rows)), rtol=1e-5)
    np.testing.assert_allclose(np.abs(axes[:5] @ pca.basis.numpy()), np.eye(5), atol=1e-5)
    assert (pca.basis.gather(0, pca.basis.abs().argmax(0, keepdim=True)) > 0).all()
    assert (pca.scale * pca.spread).square().mean().item() == pytest.approx(1.0)
    torch.testing.assert_close(pca.scale[0] / pca.scale[4], (pca.spread[4] / pca.spread[0]).sqrt())


@pytest.mark.parametrize("levels_of", [(1, 0, 1), (0, 1)])
def test_the_encoder_is_those_components(tokenizer, rng, levels_of):
    config = replace(MODEL, decoder=levels_of)
    vae = build_model(config, tokenizer, 0).vae
    image = torch.rand(30, 3, 8, 16, generator=rng).cumsum(-2) / 8
    pca = patch_components(image, config.patch, 4)
    write_encoder(vae, pca)
    got = ms_vae.VAECodec(vae, vae.config.scaling_factor).encode(image).detach()
    basis = pca.basis.double().numpy() * pca.scale.numpy()
    wanted = (patch_vectors(image, config.patch) - pca.mean.numpy()) @ basis
    assert got.shape == (30, 4, 8 // config.patch, 16 // config.patch)
    np.testing.assert_allclose(got.movedim(1, -1).numpy(), wanted, atol=5e-3)  # the basis is rounded to half precision
    assert got.square().mean().item() == pytest.approx(1.0, abs=5e-3)
    assert got.mean((0, 2, 3)).abs().max() < 5e-3


def test_the_encoder_survives_half_precision(tokenizer, rng):
    vae = build_model(MODEL, tokenizer, 0).vae
    write_encoder(vae, patch_components(torch.rand(30, 3, 8, 8, generator=rng), 4, 4))
    layers = dict(vae.encoder.named_parameters())
    rounded = [name for name, weight in layers.items() if not torch.equal(weight, weight.half().float())]
    assert rounded == ["layers.3.bias"]


def test_a_tiny_autoencoder_is_a_codec(tokenizer, rng):
    """Encoding is differentiable, scaled, the same when recomputed; decoding inverts the scaling."""
    vae = build_model(MODEL, tokenizer, 0).vae.double()
    write_encoder(vae, patch_components(torch.rand(9, 3, 8, 8, generator=rng), 4, 4))
    image = torch.rand(2, 3, 8, 8, generator=rng, dtype=torch.float64, requires_grad=True)
    answers, grads = [], []
    for thrifty in (False, True):
        codec = ms_vae.VAECodec(vae, 0.5, 0.25, recompute=thrifty)
        answers.append(codec.encode(image))
        grads.append(torch.autograd.grad(answers[-1].square().sum(), image)[0])
        with torch.no_grad():
            raw = vae.encode(2 * image - 1).latents
            torch.testing.assert_close(answers[-1], (raw - 0.25) * 0.5)
            torch.testing.assert_close(codec.decode(answers[-1]), (vae.decode(raw).sample + 1) / 2)
    torch.testing.assert_close(answers[0], answers[1])
    torch.testing.assert_close(grads[0], grads[1])


def test_caption_targets_by_hand():
    captions = [
        "a small red cone on a blue cube, from 30 degrees left, slightly above",
        "a green sphere, side view",
        "a pink mug",
    ]
    rows = caption_targets(captions)
    things, colours = list(OBJECT_TYPES), list(COLOURS)
    azimuth = 4 + (180 - 15 - 30) // 15  # after the four coarse phrases, from -165 in steps of 15
    assert rows[0].tolist() == [
        1 + things.index("cone"), 1 + colours.index("red"), 1, 1 + things.index("cube"), 1 + colours.index("blue"), 0,
        1, 1 + azimuth, 3,
    ]  # fmt: skip
    assert rows[1].tolist() == [1 + things.index("sphere"), 1 + colours.index("green"), 0, 0, 0, 0, 0, 2, 0]
    assert rows[2].tolist() == [1 + things.index("mug"), 1 + colours.index("pink"), *[0] * 7]
    every = caption_targets(Scenes().draw(2000, torch.Generator().manual_seed(0), None).captions)
    assert every.amax(0).tolist() == [n - 1 for n in TARGET_SIZES]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_shares_of_a_batch_add_up_to_its_gradient(rng, threads):
    layer = torch.nn.Linear(3, 2).double()
    x = torch.randn(5, 3, generator=rng, dtype=torch.float64)
    wanted = torch.autograd.grad(layer(x).square().sum(1).mean(), list(layer.parameters()))
    torch.set_num_threads(threads)
    try:
        loss = accumulate_gradient(
            {"x": x}, lambda rows: layer(rows["x"]).square().sum(1).mean(), list(layer.parameters())
        )
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(1)
    torch.testing.assert_close([p.grad for p in layer.parameters()], list(wanted))
    assert loss == pytest.approx(layer(x).square().sum(1).mean().item())


def test_grid_shows_each_image_in_its_cell():
    import io

    import numpy as np
    from PIL import Image

    images = torch.arange(5.0)[:, None, None, None].expand(5, 3, 2, 2) / 8
    pixels = np.asarray(Image.open(io.BytesIO(grid_png(images))))
    assert pixels.shape == (2 * 12 + 6, 4 * 12 + 6, 3)
    assert pixels[8, 8 + 12].tolist() == [32] * 3 and pixels[8 + 12, 8].tolist() == [128] * 3
