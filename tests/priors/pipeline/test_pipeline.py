"""Every family of diffusers pipelines against diffusers' own sampling, and against formulas written out here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import modeseek as ms
from modeseek.priors.pipeline import Pipeline

diffusers = pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers
from tiny import load  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
TEXT, STEPS, SCALE = "a red cone", 8, 3.0


def diffusers_pipeline(path: Path) -> Any:
    kind = getattr(diffusers, json.loads((path / "model_index.json").read_text())["_class_name"])
    pipe = kind.from_pretrained(path, safety_checker=None) if path.name == "if" else kind.from_pretrained(path)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def noise(prior: Pipeline, n: int = 1) -> Tensor:
    return torch.randn(n, *prior.shape, generator=torch.Generator().manual_seed(3))


def sample(path: Path, z: Tensor) -> tuple[Tensor, Any]:
    """Sample of diffusers' pipeline from this noise, and the pipeline."""
    pipe = diffusers_pipeline(path)
    options: dict[str, Any] = {"prompt": TEXT, "num_inference_steps": STEPS, "output_type": "latent", "height": 16}
    options |= {"width": 16, "guidance_scale": SCALE, "latents": z.clone()}
    if path.name == "if":
        for key in ("latents", "height", "width"):
            options.pop(key)
        options |= {"output_type": "pt", "generator": torch.Generator().manual_seed(3)}
        pipe.scheduler.register_to_config(variance_type="fixed_small")  # diffusers' loop reads it from DDIM
    if path.name == "pixart":
        options |= {"use_resolution_binning": False, "clean_caption": False}
    if path.name.startswith("flux"):
        options["latents"] = pipe._pack_latents(z, 1, *z.shape[1:])
        return pipe._unpack_latents(pipe(**options).images, 16, 16, 2 * 1), pipe
    return pipe(**options).images, pipe


@pytest.mark.slow
@pytest.mark.parametrize("name", tiny.MAKERS)
def test_our_ddim_is_the_sampler_of_diffusers(name: str, folder: Callable[[str], Path]) -> None:
    path = folder(name)
    prior = load(path, guidance=SCALE)
    z = noise(prior)
    want, pipe = sample(path, z)
    conditions = prior.conditions([TEXT])
    guided = prior if name.startswith("flux") else ms.Guided(prior, SCALE)
    if isinstance(prior.schedule, ms.Flow):
        s = pipe.scheduler.sigmas.double()
        if name.startswith("flux"):  # shifted for this resolution: the sigmas of diffusers
            assert torch.allclose(prior.schedule(prior.grid(STEPS))[1].double(), s, atol=1e-6)
        times = s / (prior.schedule.shift - (prior.schedule.shift - 1) * s)  # sigma = shift t / (1 + (shift - 1) t)
    else:
        times = torch.cat([pipe.scheduler.timesteps.double().cpu(), torch.zeros(1, dtype=torch.float64)]) / 999
    with torch.no_grad():
        if name == "sdxl":  # Euler ends at the posterior mean, not at the cleanest level
            z = ms.ddim(guided, z, times[:-1].float(), conditions)
            ours = guided(z, times[-2:-1].float(), conditions).z
        else:
            ours = ms.ddim(guided, z, times.float(), conditions)
    assert torch.allclose(ours, want, rtol=1e-3, atol=1e-3 * want.abs().max()), (ours - want).abs().max()
    assert want.std() > 0.1


@pytest.mark.parametrize("name", ["sd", "sd-v", "sdxl", "if", "pixart"])
def test_sds_is_the_formula_with_the_schedulers_own_numbers(name: str, folder: Callable[[str], Path]) -> None:
    path = folder(name)
    prior, pipe = load(path), diffusers_pipeline(path)
    z, conditions = noise(prior), prior.conditions([TEXT])
    index, rng = 601, torch.Generator().manual_seed(5)
    method = ms.SDS(ms.Uniform(index / 999, index / 999))
    ours, _ = method.step(z, ms.Guided(prior, SCALE), None, conditions=conditions, progress=0.0, rng=rng)
    assert ours.eps is not None
    squared = pipe.scheduler.alphas_cumprod[index]
    z_t = squared.sqrt() * z + (1 - squared).sqrt() * ours.eps
    cond, null = conditions.positive, conditions.null
    both = {key: torch.cat([null[key], cond[key]]) for key in cond}
    added: dict[str, Any] = {}
    if name == "sdxl":
        sizes = torch.tensor([[16.0, 16, 0, 0, 16, 16]]).expand(2, -1)
        added = {"added_cond_kwargs": {"text_embeds": both["pooled"], "time_ids": sizes}}
    if name == "pixart":
        added = {"encoder_attention_mask": both["mask"]}
        added["added_cond_kwargs"] = {"resolution": None, "aspect_ratio": None}
    network = pipe.transformer if name == "pixart" else pipe.unet
    with torch.no_grad():
        steps = torch.tensor([index, index])
        raw = network(z_t.repeat(2, 1, 1, 1), timestep=steps, encoder_hidden_states=both["text"], **added).sample
    raw = raw[:, : z.shape[1]]
    if name == "sd-v":
        raw = squared.sqrt() * raw + (1 - squared).sqrt() * z_t
    eps = raw[:1] + SCALE * (raw[1:] - raw[:1])
    want = (1 - squared) * (eps - ours.eps)
    assert torch.allclose(ours.grad, want, rtol=1e-3, atol=1e-4 * want.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("name", tiny.MAKERS)
def test_scaling_changes_nothing_but_the_scaling(name: str, folder: Callable[[str], Path]) -> None:
    """Only the log-SNR matters: VE, VP and flow coordinates give one prediction."""
    prior = load(folder(name))
    z, cond = noise(prior), prior.encode([TEXT])
    predictions = []
    for factor in (1.0, 0.3, 7.0):
        alpha, sigma = torch.tensor([0.6 * factor]), torch.tensor([0.8 * factor])
        predictions.append(prior.at(factor * z, alpha, sigma, cond))
    for other in predictions[1:]:
        assert torch.allclose(other.z, predictions[0].z, rtol=1e-4, atol=1e-4)
        assert torch.allclose(other.eps, predictions[0].eps, rtol=1e-4, atol=1e-4)
    back = 0.6 * predictions[0].z + 0.8 * predictions[0].eps
    assert torch.allclose(back, z, atol=1e-4)
    assert not predictions[0].clamped.any()


def test_levels_beyond_the_training_range_are_flagged_and_finite(folder: Callable[[str], Path]) -> None:
    prior = load(folder("sd"))
    z, cond = noise(prior, 4), prior.encode([TEXT])
    alpha, sigma = torch.tensor([1.0, 1.0, 1e-4, 0.0]), torch.tensor([0.0, 1e-3, 1.0, 1.0])
    p = prior.at(z, alpha, sigma, cond)
    assert p.clamped.all()
    for part in (p.z, p.eps):
        assert part.isfinite().all()
    assert torch.equal(p.z[0], z[0])  # no noise: nothing to remove
    assert torch.allclose(alpha[:, None, None, None] * p.z + sigma[:, None, None, None] * p.eps, z, atol=1e-4)
    edge = torch.sigmoid(torch.tensor([prior.schedule.levels[0]]))  # the cleanest level keeps its score below itself
    clean = prior.at(z[:1], edge.sqrt(), (1 - edge).sqrt(), cond)
    less = prior.at(z[:1] / edge.sqrt(), torch.ones(1), 0.5 * ((1 - edge) / edge).sqrt(), cond)
    assert torch.allclose(less.eps, 0.5 * clean.eps, rtol=1e-3, atol=1e-5)


def test_a_model_without_signal_at_its_end_is_defined_there(folder: Callable[[str], Path]) -> None:
    prior = load(folder("sd-v-zero-snr"))
    p = prior.at(noise(prior), torch.zeros(1), torch.ones(1), prior.encode([TEXT]))
    assert not p.clamped.any() and p.z.isfinite().all() and torch.equal(p.eps, noise(prior))


@pytest.mark.parametrize("name", ["sd", "sd3", "flux"])
def test_gradients_reach_pixels_through_the_autoencoder(name: str, folder: Callable[[str], Path]) -> None:
    prior = load(folder(name))
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    z = prior.codec.encode(image)
    assert z.shape[1:] == prior.shape
    direction, _ = ms.SDS().step(
        z.detach(), prior, None, conditions=prior.conditions([TEXT]), progress=0.0, rng=torch.Generator().manual_seed(0)
    )
    ms.surrogate(z, direction.grad).backward()
    assert image.grad is not None and image.grad.isfinite().all() and image.grad.abs().max() > 0
    vae = prior.pipe.vae
    raw = vae.encode(2 * image.detach() - 1).latent_dist.mode()
    want = (raw - (vae.config.shift_factor or 0)) * vae.config.scaling_factor
    assert torch.allclose(z.detach(), want, atol=1e-5)
    shown = (vae.decode(want / vae.config.scaling_factor + (vae.config.shift_factor or 0)).sample + 1) / 2
    assert torch.allclose(prior.codec.decode(want), shown, atol=1e-5)


def test_the_autoencoder_can_sample_and_save_memory(folder: Callable[[str], Path]) -> None:
    from dataclasses import replace

    codec = load(folder("sd")).codec
    image = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    mean = codec.encode(image)
    drawn = replace(codec, posterior="sample", rng=torch.Generator().manual_seed(1)).encode(image)
    posterior = codec.network.encode(2 * image - 1).latent_dist
    assert ((drawn - mean) / (posterior.std * codec.scale)).std().item() == pytest.approx(1, abs=0.02)
    grads = []
    for recompute in (False, True):
        leaf = image[:2].clone().requires_grad_()
        replace(codec, recompute=recompute).encode(leaf).square().sum().backward()
        grads.append(leaf.grad)
    assert torch.equal(*grads)
    with pytest.raises(ValueError, match="needs rng"):
        replace(codec, posterior="sample")


def test_texts_are_encoded_once_and_kept(
    folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder("sd")
    first = load(path, cache=tmp_path)
    fresh = first.conditions([TEXT, "a blue cube"], ["ugly"])
    assert first.pipe.text_encoder is None  # not held beside the network
    second = load(path, cache=tmp_path)
    monkeypatch.setattr(second.text_cache, "_encode", lambda texts: pytest.fail(f"encoded again: {texts}"))
    cached = second.conditions([TEXT, "a blue cube"], ["ugly"])
    for a, b in ((fresh.positive, cached.positive), (fresh.null, cached.null), (fresh.negative, cached.negative)):
        assert torch.equal(a["text"], b["text"])
    other = load(folder("sd-v"), cache=tmp_path)  # other weights: another key
    assert not other.text_cache._find(f"text:{TEXT}")
    for file in tmp_path.rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:20])
    again = load(path, cache=tmp_path).conditions([TEXT])  # damaged: encoded again
    assert torch.equal(again.positive["text"], fresh.positive["text"][:1])


def test_a_batch_is_predicted_as_its_rows_are(folder: Callable[[str], Path]) -> None:
    prior = load(folder("sdxl"))
    z, cond = noise(prior, 2), prior.encode([TEXT, "a blue cube"])
    alpha, sigma = torch.tensor([0.6, 0.9]), torch.tensor([0.8, 0.4])
    both = prior.at(z, alpha, sigma, cond)
    for row in range(2):
        rows = slice(row, row + 1)
        alone = prior.at(z[rows], alpha[rows], sigma[rows], {key: part[rows] for key, part in cond.items()})
        assert torch.allclose(alone.z, both.z[rows], atol=1e-4)


def _rename(path: Path) -> None:
    index = json.loads((path / "model_index.json").read_text())
    (path / "model_index.json").write_text(json.dumps(index | {"_class_name": "KandinskyPipeline"}))


def _cut(path: Path) -> None:
    file = next(path.glob("unet/*.safetensors"))
    file.write_bytes(file.read_bytes()[:-100])


def _pickled(path: Path) -> None:
    next(path.glob("unet/*.safetensors")).rename(path / "unet" / "diffusion_pytorch_model.bin")


def _predict(path: Path) -> None:
    file = path / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"prediction_type": "magic"}))


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "another class": (_rename, "is a KandinskyPipeline, which is not supported: supported are StableDiffusionPipeline"),
    "truncated weights": (_cut, "diffusion_pytorch_model.safetensors holds no safetensors"),
    "pickled weights": (_pickled, "holds pickled weights only"),
    "no index": (lambda path: (path / "model_index.json").unlink(), "is no diffusers pipeline: model_index.json"),
    "index is no JSON": (lambda path: (path / "model_index.json").write_text("{"), "is no diffusers pipeline"),
    "unknown prediction": (_predict, "cannot be read with prediction_type 'magic'; known are epsilon"),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_folder_that_is_no_pipeline_gives_one_line(
    damage: str, folder: Callable[[str], Path], tmp_path: Path
) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder("sd"), copy)
    BROKEN[damage][0](copy)
    with pytest.raises(ValueError, match=BROKEN[damage][1].replace(".", r"\.")) as caught:
        load(copy)
    assert "\n" not in str(caught.value)


def test_mistakes_are_named(folder: Callable[[str], Path]) -> None:
    with pytest.raises(ValueError, match="multiples of 2 pixels: got 15 x 15"):
        load(folder("sd"), size=15)
    with pytest.raises(ValueError, match="multiples of 4 pixels: got 18 x 16"):
        load(folder("flux"), size=(18, 16))
    with pytest.raises(ValueError, match="there is no pipeline"):
        Pipeline.load("/nowhere/at/all")
    with pytest.raises(TypeError, match="encode takes a list of texts"):
        load(folder("sd")).encode(TEXT)


@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3", "pixart"])
def test_a_tokenizer_without_its_files_is_no_tokenizer(name: str, tmp_path: Path) -> None:
    """transformers makes an empty one, under which all prompts are the same."""
    path = tiny.make(name, tmp_path)
    last = sorted(folder for folder in path.glob("tokenizer*"))[-1]
    for file in last.iterdir():
        if not file.name.endswith("config.json"):
            file.unlink()
    with pytest.raises(ValueError, match=f"{last.name}|cannot be loaded") as caught:
        load(path).encode(["a red cone", "a cube"])
    assert "\n" not in str(caught.value)
