"""Configuration of networks and autoencoders: honoured as diffusers' pipelines do, or refused by the field's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from which_models.configuration import CONFIGURATION, MEAN, STD, another_unet, fields
from which_models.row import ModelRow
from which_models.schedulers import scheduler

import modeseek as ms
from modeseek.priors.pipeline import Pipeline
from modeseek.priors.pipeline.requirements import read_requirements

diffusers = pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers
from tiny import load  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
TEXT = "red"


def noise(prior: Pipeline) -> Tensor:
    return torch.randn(1, *prior.shape, generator=torch.Generator().manual_seed(3))


def stock(path: Path) -> Any:
    pipe = diffusers.DiffusionPipeline.from_pretrained(path)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.slow
@pytest.mark.parametrize("row", CONFIGURATION.rows, ids=lambda row: f"{row.base} {row.what}")
def test_every_field_is_honoured_or_refused(row: ModelRow, changed: Callable[..., Path]) -> None:
    """Where it works, what it changes is compared with diffusers' pipeline below."""
    folder = changed(row.base, row.change)
    if row.line:
        for read in (load, read_requirements):  # doctor says the same before a run
            with pytest.raises(ValueError) as caught:
                read(folder)
            assert row.line in str(caught.value) and "\n" not in str(caught.value)
        return
    prior = load(folder)
    p = prior(noise(prior), torch.tensor([0.5]), prior.encode([TEXT]))
    assert p.z.isfinite().all() and p.z.shape[1:] == prior.shape


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "change"),
    [
        ("sdxl", fields("vae/config.json", latents_mean=MEAN, latents_std=STD)),
        ("sdxl", fields("vae/config.json", scaling_factor=0.7)),
        ("sd", fields("vae/config.json", scaling_factor=0.7)),
        ("sd3", fields("vae/config.json", scaling_factor=1.3, shift_factor=0.3)),
        ("flux", fields("vae/config.json", scaling_factor=0.6, shift_factor=-0.2)),
        ("pixart", fields("vae/config.json", scaling_factor=0.7)),
    ],
)
def test_latents_are_shown_as_diffusers_shows_them(
    base: str, change: Callable[[Path], None], changed: Callable[..., Path]
) -> None:
    """One step of diffusers' pipeline, once as latents and once as an image; encoding is the inverse of its scaling."""
    folder = changed(base, change)
    prior, pipe = load(folder), stock(folder)
    z = noise(prior)
    options: dict[str, Any] = {"num_inference_steps": 1, "height": 16, "width": 16, "guidance_scale": 1.0}
    if base == "pixart":
        options |= {"use_resolution_binning": False, "clean_caption": False}
    z_in = pipe._pack_latents(z, 1, *z.shape[1:]) if base == "flux" else z
    latents, image = (pipe(TEXT, latents=z_in.clone(), output_type=kind, **options)[0] for kind in ("latent", "pt"))
    latents = pipe._unpack_latents(latents, 16, 16, 2) if base == "flux" else latents
    assert torch.allclose(prior.codec.decode(latents).clamp(0, 1), image, atol=1e-4)
    pixels = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    config, raw = pipe.vae.config, pipe.vae.encode(2 * pixels - 1).latent_dist.mode()
    mean, std = config.shift_factor or 0.0, 1.0
    if config.latents_mean is not None:
        mean, std = (torch.tensor(part).reshape(1, 4, 1, 1) for part in (MEAN, STD))
    assert torch.allclose(prior.codec.encode(pixels), (raw - mean) * config.scaling_factor / std, atol=1e-5)


@pytest.mark.parametrize("zeros", [True, False])
def test_the_null_condition_is_that_of_diffusers(zeros: bool, changed: Callable[..., Path], tmp_path: Path) -> None:
    """Also where the other one is in the cache of texts."""
    both = [
        changed("sdxl", fields("model_index.json", force_zeros_for_empty_prompt=value)) for value in (zeros, not zeros)
    ]
    found = [load(folder, cache=tmp_path / "texts").conditions([TEXT]).null for folder in both]
    _, null, _, pooled = stock(both[0]).encode_prompt(TEXT)
    assert torch.allclose(found[0]["text"], null, atol=1e-5) and torch.allclose(found[0]["pooled"], pooled, atol=1e-5)
    assert (null == 0).all() == zeros and not torch.equal(found[0]["text"], found[1]["text"])


@pytest.mark.slow
@pytest.mark.parametrize("base", ["sd", "sdxl"])
def test_a_distilled_guidance_is_embedded_as_diffusers_does(base: str, changed: Callable[..., Path]) -> None:
    own: dict[str, Any] = {"time_cond_proj_dim": 8}
    if base == "sdxl":
        own |= {
            "cross_attention_dim": 32, "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 64,
        }  # fmt: skip
    betas = {key: value for key, value in tiny.BETAS.items() if key != "clip_sample"}
    folder = changed(
        base, another_unet(**own), scheduler("EulerDiscreteScheduler", **betas, timestep_spacing="trailing")
    )
    pipe = stock(folder)
    for guidance in (3.0, 9.0):
        prior = load(folder, guidance=guidance)
        z = noise(prior)
        want = pipe(
            TEXT, num_inference_steps=1, guidance_scale=guidance, latents=z.clone(), height=16, width=16,
            output_type="latent",
        ).images  # fmt: skip
        sigma = pipe.scheduler.sigmas[:1]
        ours = prior.at(z * sigma, torch.ones(1), sigma, prior.encode([TEXT])).z  # diffusers starts at sigma times z
        assert torch.allclose(ours, want, rtol=1e-3, atol=1e-3 * want.abs().max())
    assert (load(folder, guidance=3.0)(z, torch.tensor([0.5])).z - prior(z, torch.tensor([0.5])).z).abs().max() > 1e-3


def test_odd_latents_of_a_transformer_are_refused(changed: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match="multiples of 4 pixels"):
        load(changed("pixart"), size=18)


def test_the_timestep_of_flux_is_out_of_a_thousand(changed: Callable[..., Path]) -> None:
    """Diffusers' pipeline divides by 1000 whatever num_train_timesteps is."""
    folder = changed("flux", scheduler("FlowMatchEulerDiscreteScheduler", num_train_timesteps=500))
    prior, pipe = load(folder, guidance=3.0), stock(folder)
    z = noise(prior)
    options: dict[str, Any] = {"num_inference_steps": 1, "height": 16, "width": 16, "output_type": "latent"}
    want = pipe(TEXT, guidance_scale=3.0, latents=pipe._pack_latents(z, 1, *z.shape[1:]), **options).images
    ours = prior.at(z, torch.zeros(1), torch.ones(1), ms.Conditions(prior.encode([TEXT]))).z
    assert torch.allclose(ours, pipe._unpack_latents(want, 16, 16, 2), rtol=1e-3, atol=1e-3 * want.abs().max())


@pytest.mark.parametrize("size", [(16, 16), (16, 32)])
def test_pixart_alpha_is_conditioned_on_the_resolution_as_in_diffusers(
    size: tuple[int, int], changed: Callable[..., Path]
) -> None:
    """The class alone decides; a network for 1024 pixels takes resolution and aspect ratio."""

    def alpha(folder: Path) -> None:
        fields("model_index.json", _class_name="PixArtAlphaPipeline")(folder)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            diffusers.PixArtTransformer2DModel(
                sample_size=128, patch_size=2, in_channels=4, out_channels=8, num_layers=1, num_attention_heads=2,
                attention_head_dim=12, cross_attention_dim=24, caption_channels=tiny.WIDTH,
            ).save_pretrained(folder / "transformer")  # fmt: skip

    folder = changed("pixart", alpha, scheduler("EulerDiscreteScheduler", timestep_spacing="trailing"))
    prior, pipe = load(folder, size=size), stock(folder)
    assert prior.pipe.transformer.use_additional_conditions and type(pipe).__name__ == "PixArtAlphaPipeline"
    z = noise(prior)
    want = pipe(
        TEXT, num_inference_steps=1, guidance_scale=1.0, latents=z.clone(), height=size[0], width=size[1],
        output_type="latent", use_resolution_binning=False, clean_caption=False,
    ).images  # fmt: skip
    sigma = pipe.scheduler.sigmas[:1]
    assert sigma > 100
    ours = prior.at(z * sigma, torch.ones(1), sigma, prior.encode([TEXT])).z
    assert torch.allclose(ours, want, rtol=1e-3, atol=1e-3 * want.abs().max())
