"""The bundled text prior: complete, loadable by plain diffusers, and faithful to its captions."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from terminal import cli_error

import modeseek as ms
from modeseek.cli import main
from modeseek.experiments.caption_exam.caption_exam import held_out_captions
from modeseek.io import packaged
from modeseek.metrics.scenes.caption_accuracy import score_captions
from modeseek.metrics.scenes.classifier import SceneClassifier

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def prior() -> ms.Pipeline:
    return ms.Bundled(cache=None)


def test_stock_diffusers_draws_the_same(prior: ms.Pipeline) -> None:
    from diffusers import StableDiffusionPipeline

    folder = packaged.packaged_weights("scenes")
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    caption, steps = "a red cone on a blue cube", 8
    z = prior.start(1, torch.Generator().manual_seed(3))
    want = pipe(
        caption, num_inference_steps=steps, guidance_scale=3.0, height=64, width=64, latents=z, output_type="latent"
    ).images
    times = torch.cat([pipe.scheduler.timesteps.float().cpu(), torch.zeros(1)]) / 999
    with torch.no_grad():
        ours = ms.ddim(ms.Guided(prior, 3.0), z, times, prior.conditions([caption]))
    assert torch.allclose(ours, want, rtol=1e-3, atol=1e-3 * want.abs().max())
    assert want.std() > 0.3


def test_images_have_the_colours_of_their_captions(prior: ms.Pipeline) -> None:
    """24 held-out captions, against the same captions with their colours exchanged."""
    captions = held_out_captions(24, 1)
    with torch.no_grad():
        z = prior.start(24, torch.Generator().manual_seed(0))
        z = ms.ddim(ms.Guided(prior, 3.0), z, prior.grid(12), prior.conditions(list(captions)))
        images = prior.codec.decode(z).clamp(0, 1)
    classifier = SceneClassifier.packaged()
    right = score_captions(classifier, images, captions).colour.float().mean()
    others = [*captions[5:], *captions[:5]]
    assert right > 0.5 > score_captions(classifier, images, others).colour.float().mean() + 0.2


def test_its_autoencoder_is_faithful(prior: ms.Pipeline) -> None:
    from modeseek.datasets.scenes import Scenes

    image = Scenes().batch(32, torch.Generator().manual_seed(9), held_out=True).image
    with torch.no_grad():
        z = prior.codec.encode(image)
        back = prior.codec.decode(z).clamp(0, 1)
    assert -10 * torch.log10((back - image).square().mean()) > 26
    assert z.mean().abs() < 0.15 and 0.8 < z.std() < 1.2


@pytest.mark.parametrize("text", ["", "\N{SNOWMAN}\N{FIRE}", "zyzzyva quux", "a red cone " * 1000, "\0\n\t"])
def test_odd_texts_are_conditions_too(prior: ms.Pipeline, text: str) -> None:
    z = prior.start(1, torch.Generator().manual_seed(0))
    with torch.no_grad():
        p = prior(z, torch.tensor([0.5]), prior.encode([text]))
    assert p.z.isfinite().all()


def test_an_image_of_a_sentence_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODESEEK_CACHE", str(tmp_path / "cache"))
    main(["image", "a red cone on a blue cube", "--steps", "3", "--out", str(tmp_path / "run")])
    run = ms.Run.load(tmp_path / "run")
    assert run.status.state == "finished" and run.config.scale == 3.0 and run.config.prior.path == "bundled"
    main(["sample", "a red cone", "--steps", "2", "--out", str(tmp_path / "drawn")])
    assert (tmp_path / "drawn" / "exports" / "image-000.png").is_file()


def test_a_damaged_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data" / "scenes"
    shutil.copytree(packaged.data_folder() / "scenes", folder)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    monkeypatch.setattr(packaged, "data_folder", lambda: tmp_path / "data")
    packaged.packaged_weights.cache_clear()
    try:
        message = cli_error(["sample", "a red cone", "--out", str(tmp_path / "run")], capsys)
    finally:
        packaged.packaged_weights.cache_clear()
    assert "unet/diffusion_pytorch_model.safetensors" in message and "install modeseek again" in message
    assert not (tmp_path / "run").exists()
