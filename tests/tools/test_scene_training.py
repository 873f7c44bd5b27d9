"""Training of the bundled text-to-image prior: formulas, folder, and exact resuming."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import modeseek as ms
import modeseek.priors.pipeline.vae as ms_vae
from modeseek.datasets.scenes import Scenes
from modeseek.datasets.scenes.object_types import OBJECT_TYPES
from modeseek.datasets.scenes.vocabulary import COLOURS
from modeseek.runs.interrupts import RunInterrupted
from tools.bundled_priors.caption_targets import TARGET_SIZES, caption_targets
from tools.bundled_priors.cli import main
from tools.bundled_priors.ema import decay_at, update_average
from tools.bundled_priors.example_pool import ExamplePool
from tools.bundled_priors.losses import psnr, reconstruction_loss, velocity_loss
from tools.bundled_priors.lr_schedule import StageDuration, learning_rate
from tools.bundled_priors.model import (
    SmallModelConfig,
    alpha_squared_levels,
    build_model,
    read_part,
    write_part,
    write_pipeline,
    write_tokenizer,
)
from tools.bundled_priors.patch_pca import patch_components, write_encoder
from tools.bundled_priors.recipe import StageRecipe, TrainingRecipe, parse_seconds, read_recipe
from tools.bundled_priors.sample_grid import grid_png
from tools.bundled_priors.threaded_gradient import accumulate_gradient
from tools.bundled_priors.train import train
from tools.bundled_priors.training_dir import TrainingDir

MODEL = SmallModelConfig(
    size=16, latent=4, decoder=(1, 0, 1), width=8, network=(8, 16), attention=(False, True), head=8, text_width=16,
    text_layers=1, text_heads=2, tokens=16, vocabulary=60,
)  # fmt: skip
STAGE = StageRecipe(batch=2, lr=1e-3, warm=2, first=4, pool=6, chunk=4, every=2)
TINY = TrainingRecipe(
    model=MODEL, words=STAGE, autoencoder=STAGE, network=STAGE, sampling=2, fitted=8, tested=8, steps=(2, 3, 4)
)
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


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Uninterrupted training."""
    folder = tmp_path_factory.mktemp("trained") / "whole"
    for _ in train(folder, budget=1e9, recipe=TINY):
        pass
    return folder


# --- formulas


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
        update_average(average, now, step, 0.5)
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


def test_pool_keeps_the_newest():
    count = iter(range(100))
    pool = ExamplePool(lambda n: {"x": torch.tensor([next(count) for _ in range(n)])}, size=5)
    pool.grow(3)
    rng = torch.Generator().manual_seed(0)
    assert set(pool.draw(200, rng)["x"].tolist()) == {0, 1, 2}
    pool.grow(4)
    assert set(pool.draw(200, rng)["x"].tolist()) == {2, 3, 4, 5, 6}
    again = ExamplePool(lambda n: {"x": torch.tensor([next(count) for _ in range(n)])}, size=5)
    again.restore(pool.state())
    again.grow(1)
    assert set(again.draw(200, rng)["x"].tolist()) == {3, 4, 5, 6, 7}


def test_grid_shows_each_image_in_its_cell():
    import io

    import numpy as np
    from PIL import Image

    images = torch.arange(5.0)[:, None, None, None].expand(5, 3, 2, 2) / 8
    pixels = np.asarray(Image.open(io.BytesIO(grid_png(images))))
    assert pixels.shape == (2 * 12 + 6, 4 * 12 + 6, 3)
    assert pixels[8, 8 + 12].tolist() == [32] * 3 and pixels[8 + 12, 8].tolist() == [128] * 3


# --- words


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


def test_odd_texts_give_finite_samples(pipeline):
    prior = ms.Pipeline.load(pipeline, cache=None)
    conditions = prior.conditions(ODD)
    z = prior.start(len(ODD), rng=torch.Generator().manual_seed(0))
    assert ms.ddim(ms.Guided(prior, 3.0), z, prior.grid(2), conditions).isfinite().all()


# --- the folder


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


# --- the training


def test_it_writes_a_pipeline_a_model_card_and_sample_grids(finished):
    folder = finished / "pipeline"
    card = (folder / "README.md").read_text()
    assert "license: apache-2.0" in card and "nan" not in card and "4 steps of 2 images" in card
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in (finished / "grids").iterdir()] == ["step-00000004.png"]
    assert ms.Pipeline.load(folder, cache=None).shape == (4, 4, 4)
    rows = TrainingDir(finished).metrics
    assert [row["stage"] for row in rows] == ["words", "autoencoder", "network"]
    assert 0 <= rows[0]["understood"] <= 1 and 0 < rows[1]["psnr"] < 60
    assert rows[2]["held_out"] == pytest.approx((rows[2]["little"] + rows[2]["some"] + rows[2]["much"]) / 3, rel=0.2)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted((folder / "pipeline").rglob("*.safetensors"))
    kept = sorted((folder / "checkpoints").rglob("step-00000004/tensors.safetensors"))
    return {f"{path.parent.name} {name}": t for path in files + kept for name, t in load_file(path).items()}


def test_stopped_and_resumed_is_uninterrupted_bit_for_bit(finished, tmp_path, monkeypatch):
    """Stopped by Ctrl-C after every single step of all stages."""
    import tools.bundled_priors.train as module

    steps = module.StageTrainer.train_step

    def interrupted(self, progress):
        os.kill(os.getpid(), signal.SIGINT)
        return steps(self, progress)

    monkeypatch.setattr(module.StageTrainer, "train_step", interrupted)
    folder, stops = tmp_path / "cut", 0
    while True:
        try:
            for _ in train(folder, budget=1e9, recipe=TINY):
                pass
            break
        except RunInterrupted as stopped:
            assert "python -m tools.bundled_priors train scenes --out" in str(stopped)
            stops += 1
    assert stops == sum(TINY.steps)
    wanted, got = weights(finished), weights(folder)
    assert wanted.keys() == got.keys() and len(wanted) > 150
    assert [name for name in wanted if not torch.equal(wanted[name], got[name])] == []


def test_a_damaged_checkpoint_costs_its_steps_only(finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    TrainingDir(folder).recipe.write(folder)
    longer = replace(TINY, steps=(2, 3, 6))
    longer.write(folder)
    for _ in train(folder, budget=1e9):
        pass
    kept = sorted((folder / "checkpoints" / "network").iterdir())
    assert [path.name for path in kept] == ["step-00000004", "step-00000006"]
    (kept[1] / "tensors.safetensors").write_bytes(b"torn")
    before = weights(folder)
    for _ in train(folder, budget=1e9):
        pass
    after = weights(folder)
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("unet"))


def test_a_larger_budget_resumes(tmp_path):
    """With a time budget: a spent budget ends at once; a larger one resumes."""
    folder, recipe = tmp_path / "clock", replace(TINY, steps=None, shares=(0.2, 0.3))
    for _ in train(folder, budget=1.0, recipe=recipe):
        pass
    spent = TrainingDir(folder).metrics[-1]
    for _ in train(folder, budget=1.0):
        pass
    assert TrainingDir(folder).metrics[-1]["step"] == spent["step"]
    for _ in train(folder, budget=spent["seconds"] + 1.5):
        pass
    last = TrainingDir(folder).metrics[-1]
    assert last["step"] > spent["step"] and last["seconds"] > spent["seconds"]


# --- mistakes


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "recipe.json").unlink(), "has no recipe.json"),
        (lambda f: (f / "recipe.json").write_text("{"), "recipe.json is damaged"),
        (lambda f: (f / "recipe.json").write_text("[]"), "recipe.json is damaged"),
        (lambda f: (f / "vae" / "training.json").write_text("{}"), "training.json is damaged"),
        (lambda f: (f / "text_encoder" / "config.json").write_text("{"), "must hold a whole text_encoder"),
        (lambda f: shutil.rmtree(f / "tokenizer"), "tokenizer"),
    ],
)
def test_a_damaged_folder_is_one_line(finished, tmp_path, capsys, damage, words):
    folder = tmp_path / "damaged"
    shutil.copytree(finished, folder)
    damage(folder)
    with pytest.raises(SystemExit) as ended:
        main(["train", "scenes", "--out", str(folder), "--budget", "1s"])
    lines = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2 and len(lines) == 1 and words in lines[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--budget", "soon"], "budget must be a time"),
        (["--budget", "0h"], "budget must be a time"),
        (["--device", "warp"], "got 'warp'"),
        (["--batch", "0"], "batch size must be at least 1"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_folder(tmp_path, capsys, words, said):
    with pytest.raises(SystemExit) as ended:
        main(["train", "scenes", "--out", str(tmp_path / "new"), *words])
    assert ended.value.code == 2 and said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_another_seed_is_refused(finished):
    with pytest.raises(ValueError, match="must stay 0, got 4"):
        next(train(finished, budget=1.0, seed=4))


def test_two_at_once_are_refused(finished):
    job = train(finished, budget=1e9)
    with TrainingDir(finished).lock(), pytest.raises(ValueError, match="by another process"):
        next(job)


def test_budgets_and_recipes_are_read(tmp_path):
    assert [parse_seconds(t) for t in ("2h", "90m", "1h30m", "1.5h", "45s")] == [7200, 5400, 5400, 5400, 45]
    TINY.write(tmp_path)
    assert read_recipe(tmp_path) == TINY
