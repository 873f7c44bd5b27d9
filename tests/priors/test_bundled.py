"""The bundled text priors: complete, loadable by plain diffusers, and faithful to their captions."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from terminal import cli_error

import modeseek as ms
from modeseek.cli import main
from modeseek.config.priors import PipelinePriorConfig
from modeseek.exams.caption_exam.caption_exam import held_out_captions
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
    return ms.Bundled(device="cpu", cache=None)


@pytest.fixture(scope="module")
def emoji() -> ms.Pipeline:
    return ms.bundled("emoji", device="cpu", cache=None)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "caption"), [("scenes", "a red cone on a blue cube"), ("emoji", "an owl")])
def test_stock_diffusers_draws_the_same(name: str, caption: str, prior: ms.Pipeline, emoji: ms.Pipeline) -> None:
    from diffusers import StableDiffusionPipeline

    prior = {"scenes": prior, "emoji": emoji}[name]
    folder = packaged.packaged_weights(name)
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    steps = 8
    z = prior.start(1, torch.Generator().manual_seed(3))
    want = pipe(
        caption, num_inference_steps=steps, guidance_scale=3.0, height=64, width=64, latents=z, output_type="latent"
    ).images
    times = torch.cat([pipe.scheduler.timesteps.float().cpu(), torch.zeros(1)]) / 999
    with torch.no_grad():
        ours = ms.ddim(ms.Guided(prior, 3.0), z, times, prior.conditions([caption]))
    assert torch.allclose(ours, want, rtol=1e-3, atol=1e-3 * want.abs().max())
    assert want.std() > 0.3


@pytest.mark.slow
def test_images_have_the_colours_of_their_captions(prior: ms.Pipeline) -> None:
    """12 held-out captions, against the same captions with their colours exchanged."""
    captions = held_out_captions(12, 1)
    with torch.no_grad():
        z = prior.start(12, torch.Generator().manual_seed(0))
        z = ms.ddim(ms.Guided(prior, 3.0), z, prior.grid(8), prior.conditions(list(captions)))
        images = prior.codec.decode(z).clamp(0, 1)
    classifier = SceneClassifier.packaged()
    right = score_captions(classifier, images, captions).colour.float().mean()
    others = [*captions[5:], *captions[:5]]
    assert right > 0.5 > score_captions(classifier, images, others).colour.float().mean() + 0.2


def test_emoji_have_the_colours_of_their_words(emoji: ms.Pipeline) -> None:
    """Mean colour of what is drawn: a red strawberry, a yellow lemon, a green frog, a blue whale."""
    words = ["a strawberry", "a lemon", "a frog", "a whale"]
    with torch.no_grad():
        z = emoji.start(4, torch.Generator().manual_seed(0))
        z = ms.ddim(ms.Guided(emoji, 3.0), z, emoji.grid(8), emoji.conditions(words))
        images = emoji.codec.decode(z).clamp(0, 1)
    assert (images[:, :, :4, :4] > 0.9).float().mean() > 0.9  # on white where no background is named
    drawn = (images < 0.9).any(1, keepdim=True)
    red, green, blue = ((images * drawn).sum((2, 3)) / drawn.sum((2, 3))).unbind(1)
    assert red[0] > max(green[0], blue[0]) + 0.15
    assert min(red[1], green[1]) > blue[1] + 0.15
    assert green[2] > max(red[2], blue[2]) + 0.1
    assert blue[3] > red[3] + 0.1


def test_a_background_is_what_its_words_say(emoji: ms.Pipeline) -> None:
    words = ["an owl, on a pale blue background", "an owl, on a black background", "an owl, on a pink background"]
    with torch.no_grad():
        z = emoji.start(3, torch.Generator().manual_seed(1))
        z = ms.ddim(ms.Guided(emoji, 3.0), z, emoji.grid(8), emoji.conditions(words))
        corners = emoji.codec.decode(z).clamp(0, 1)[:, :, :4, :4].mean((2, 3))
    assert corners[0].min() > 0.6 and corners[0, 2] > corners[0, 0] + 0.05
    assert corners[1].max() < 0.3
    assert corners[2, 0] > corners[2, 1] + 0.1


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


@pytest.mark.slow
def test_an_image_of_a_sentence_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODESEEK_CACHE", str(tmp_path / "cache"))
    main(["image", "a red cone on a blue cube", "--steps", "3", "--out", str(tmp_path / "run")])
    run = ms.Run.load(tmp_path / "run")
    assert run.status.state == "finished" and run.config.scale == 3.0 and run.config.prior.path == "scenes"
    main(["sample", "a red cone", "--steps", "2", "--out", str(tmp_path / "drawn")])
    assert len(list((tmp_path / "drawn" / "exports").glob("*-s0.png"))) == 1


@pytest.mark.slow
def test_an_emoji_resumed_is_the_emoji_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODESEEK_CACHE", str(tmp_path / "cache"))
    command = ["image", "an owl", "--prior", "emoji", "--set", "saving.steps=2", "--film", "none", "--steps"]
    main([*command, "4", "--out", str(tmp_path / "whole")])
    main([*command, "2", "--out", str(tmp_path / "pieces")])
    main(["resume", str(tmp_path / "pieces"), "--steps", "4"])
    whole, pieces = (ms.Run.load(tmp_path / name) for name in ("whole", "pieces"))
    assert whole.status.state == pieces.status.state == "finished" and whole.config.scale == 3.0
    sums = {run.environment["prior"]["sha256"] for run in (whole, pieces)}
    assert sums == {PipelinePriorConfig("emoji").load("cpu").sha256}
    assert sums != {PipelinePriorConfig("scenes").load("cpu").sha256}


def test_without_a_device_the_best_one_is_taken(emoji: ms.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def load(name: str, device: torch.device | str | None) -> ms.Pipeline:
        taken.append(f"{name} {device}")
        return emoji

    monkeypatch.setattr(ms.Pipeline, "load", load)
    ms.bundled("emoji")
    ms.bundled("emoji", device="cpu")
    assert taken == ["emoji None", "emoji cpu"]
    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises((RuntimeError, AssertionError), match=r"(?i)cuda"):  # tried, and there is none
        ms.Pipeline.load("emoji")


def test_another_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="must be scenes or emoji, got 'emojis'; try"):
        ms.bundled("emojis")


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
