"""Tokenizer and folders of the small model: any text, stock diffusers, no paths of this machine."""

from __future__ import annotations

import json
from dataclasses import replace

import diffusers
import pytest
import torch
from tiny_training import MODEL

import modeseek as ms
from tools.bundled_priors.model import SmallModelConfig, alpha_squared_levels, build_model, write_tokenizer
from tools.bundled_priors.pipeline_folder import read_part, write_part, write_pipeline

ODD = ["", "zyzzyva qwx", "\U0001f680 \U0001f9d1\u200d\U0001f680 \u0416\u00e9\u4e2d\x00\x7f\u0301", "red cone " * 1111]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    write_tokenizer(folder, MODEL, ["a red cone on a blue cube", "a blue cube, side view", "the house"])
    return folder


@pytest.fixture(scope="module")
def pipeline(tokenizer, tmp_path_factory):
    """A folder in half precision of random weights, none of them near zero."""
    folder = tmp_path_factory.mktemp("pipeline")
    write_pipeline(folder, build_model(MODEL, tokenizer, 3))
    return folder


def test_any_text_has_tokens(pipeline):
    words = diffusers.StableDiffusionPipeline.from_pretrained(pipeline).tokenizer
    ids = words(ODD, padding="max_length", max_length=16, truncation=True)["input_ids"]
    assert [len(row) for row in ids] == [16] * len(ODD)
    assert ids[0] == [words.bos_token_id] + [words.eos_token_id] * 15
    for row in ids[1:3]:  # spelled by bytes: nothing is unknown, so nothing but the ends is an end
        inner = row[1 : row.index(words.eos_token_id)] if words.eos_token_id in row else row[1:]
        assert len(inner) > 5 and words.bos_token_id not in inner
    assert words.decode(words("a red cone")["input_ids"], skip_special_tokens=True).split() == ["a", "red", "cone"]


def test_known_words_are_one_piece_and_files_the_same_again(tokenizer, tmp_path):
    write_tokenizer(tmp_path, MODEL, ["a red cone on a blue cube", "a blue cube, side view", "the house"])
    for name in ("vocab.json", "merges.txt"):
        assert (tmp_path / name).read_bytes() == (tokenizer / name).read_bytes()
    assert {"cube</w>", "blue</w>", "house</w>"} <= json.loads((tmp_path / "vocab.json").read_text()).keys()


@pytest.mark.filterwarnings("ignore:the prompt .* is too long and was cut")
def test_odd_texts_give_finite_samples(pipeline):
    prior = ms.Pipeline.load(pipeline, cache=None)
    conditions = prior.conditions(ODD)
    z = prior.start(len(ODD), rng=torch.Generator().manual_seed(0))
    assert ms.ddim(ms.Guided(prior, 3.0), z, prior.grid(2), conditions).isfinite().all()


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_stock_diffusers_draws_the_same(pipeline, scale):
    """The same noise through diffusers' own pipeline and scheduler, and through our sampler on its steps."""
    stock = diffusers.StableDiffusionPipeline.from_pretrained(pipeline)
    stock.set_progress_bar_config(disable=True)
    parts = (stock.unet, stock.vae, stock.text_encoder)
    assert {p.dtype for part in parts for p in part.parameters()} == {torch.float32}
    prior = ms.Pipeline.load(pipeline, cache=None)
    assert prior.shape == (4, 4, 4)
    z = torch.randn(2, *prior.shape, generator=torch.Generator().manual_seed(1))
    texts = ["a red cone", "the house"]
    wanted = stock(
        texts, num_inference_steps=4, guidance_scale=scale, latents=z.clone(), output_type="latent", height=16, width=16
    ).images
    stock.scheduler.set_timesteps(4)
    times = torch.cat([stock.scheduler.timesteps / 999, torch.zeros(1)])
    got = ms.ddim(ms.Guided(prior, scale), z, times, prior.conditions(texts))
    torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-3)


def test_levels_end_at_no_signal():
    alpha_squared = alpha_squared_levels()
    assert alpha_squared[-1] == 0 and alpha_squared[0] > 0.999 and (alpha_squared.diff() < 0).all()


def test_the_real_model_is_small(tmp_path):
    write_tokenizer(tmp_path, SmallModelConfig(), ["a red cone on a blue cube"])
    parts = build_model(SmallModelConfig(), tmp_path, 0)
    count = {
        name: sum(p.numel() for p in getattr(parts, name).parameters()) for name in ("unet", "vae", "text_encoder")
    }
    assert 5e6 < count["unet"] < 15e6 and count["vae"] < 1e6
    folder = tmp_path / "pipeline"
    write_pipeline(folder, parts)
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert 2 * sum(count.values()) < total < 40e6
    assert not [path for path in folder.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]
    assert ms.Pipeline.load(folder, cache=None).shape == (8, 16, 16)


def test_a_pipeline_of_parts_read_from_disk_holds_no_path_of_this_machine(tokenizer, tmp_path):
    parts = build_model(MODEL, tokenizer, 3)
    write_part(tmp_path / "part", parts.vae)
    write_pipeline(tmp_path / "pipeline", replace(parts, vae=read_part(tmp_path / "part", "vae")))
    assert not [path for path in (tmp_path / "pipeline").rglob("*.json") if str(tmp_path) in path.read_text()]


def test_building_leaves_the_global_generator(tokenizer):
    before = torch.get_rng_state()
    one, two = build_model(MODEL, tokenizer, 5), build_model(MODEL, tokenizer, 5)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.unet.parameters(), two.unet.parameters(), strict=True))
