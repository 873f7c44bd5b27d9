"""LoRA against W + scale alpha / r B A written out here; memory options against the plain pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import modeseek as ms
from modeseek.priors.pipeline import LoRA, MemoryOptions, Pipeline

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers
from tiny import load  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
TEXT = "a red cone"
# The layer that each test changes: component, its folder, the layer's name, and how kohya's files call it.
UNET_LAYER = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
TEXT_LAYER = "text_model.encoder.layers.1.self_attn.q_proj"


def prediction(prior: Pipeline) -> Tensor:
    z = torch.randn(2, *prior.shape, generator=torch.Generator().manual_seed(3))
    return prior(z, torch.tensor([0.3, 0.8]), prior.encode([TEXT, "a cube"])).eps


def low_rank(rows: int, columns: int, seed: int) -> tuple[Tensor, Tensor]:
    """A (r, columns) and B (rows, r) of rank 2."""
    g = torch.Generator().manual_seed(seed)
    return torch.randn(2, columns, generator=g), torch.randn(rows, 2, generator=g)


def changed(path: Path, target: Path, component: str, layer: str, change: Callable[[Tensor], Tensor]) -> Path:
    """A copy of a pipeline with one weight changed by hand."""
    import shutil

    shutil.copytree(path, target)
    (file,) = (target / component).glob("*.safetensors")
    weights = load_file(file)
    name = f"{layer}.weight" if f"{layer}.weight" in weights else f"{layer.removeprefix('text_model.')}.weight"
    weights[name] = change(weights[name])
    save_file(weights, file, metadata={"format": "pt"})
    return target


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, -0.4])
@pytest.mark.parametrize("kind", ["diffusers", "kohya"])
def test_a_lora_of_the_network_is_the_formula(
    kind: str, scale: float, folder: Callable[[str], Path], tmp_path: Path
) -> None:
    path = folder("sd")
    down, up = low_rank(16, tiny.WIDTH, 1)
    alpha = 2.0 if kind == "diffusers" else 1.0  # without alpha it is r
    if kind == "diffusers":
        weights = {f"unet.{UNET_LAYER}.lora_A.weight": down, f"unet.{UNET_LAYER}.lora_B.weight": up}
    else:
        name = "lora_unet_" + UNET_LAYER.replace(".", "_")
        weights = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(alpha)}
    save_file(weights, tmp_path / "lora.safetensors")
    plain = load(path)
    ours = load(path, loras=[LoRA(str(tmp_path / "lora.safetensors"), scale)])
    ground_truth = load(changed(path, tmp_path / "sd", "unet", UNET_LAYER, lambda w: w + scale * alpha / 2 * up @ down))
    assert torch.allclose(prediction(ours), prediction(ground_truth), atol=1e-5)
    assert (prediction(ours) - prediction(plain)).abs().max() > 1e-2
    assert not any("lora" in name for name in ours.network.state_dict()), "merged, no adapter stays"


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_a_lora_of_the_text_encoder_is_the_formula(name: str, folder: Callable[[str], Path], tmp_path: Path) -> None:
    path = folder(name)
    part = "text_encoder" if name == "sd" else "text_encoder_2"
    down, up = low_rank(tiny.WIDTH, tiny.WIDTH, 2)
    weights = {f"{part}.{TEXT_LAYER}.lora_A.weight": down, f"{part}.{TEXT_LAYER}.lora_B.weight": up}
    save_file(weights, tmp_path / "lora.safetensors")
    cache = tmp_path / "cache"
    plain = load(path, cache=cache)
    before = prediction(plain)
    ours = load(path, cache=cache, loras=[LoRA(str(tmp_path), 0.5)])  # the folder's only file
    ground_truth = load(changed(path, tmp_path / name, part, TEXT_LAYER, lambda w: w + 0.5 * up @ down))
    assert torch.allclose(prediction(ours), prediction(ground_truth), atol=1e-5)
    assert (prediction(ours) - before).abs().max() > 1e-3, "other conditions than those cached without it"


def test_loras_of_a_flow_transformer_add_up(folder: Callable[[str], Path], tmp_path: Path) -> None:
    path, layer = folder("flux"), "transformer_blocks.0.attn.to_q"
    changes, loras = [], []
    for seed, scale in ((5, 0.7), (6, -0.2)):
        down, up = low_rank(32, 32, seed)
        weights = {f"transformer.{layer}.lora_A.weight": down, f"transformer.{layer}.lora_B.weight": up}
        save_file(weights, tmp_path / f"{seed}.safetensors")
        loras.append(LoRA(str(tmp_path / f"{seed}.safetensors"), scale))
        changes.append(scale * up @ down)
    ground_truth = load(changed(path, tmp_path / "flux", "transformer", layer, lambda w: w + changes[0] + changes[1]))
    assert torch.allclose(prediction(load(path, loras=loras)), prediction(ground_truth), atol=1e-5)
    assert (prediction(ground_truth) - prediction(load(path))).abs().max() > 1e-3


def test_a_lora_that_does_not_fit_is_one_line(folder: Callable[[str], Path], tmp_path: Path) -> None:
    path, lora = folder("sd"), tmp_path / "lora.safetensors"

    def refused(weights: dict[str, Tensor] | None, reason: str, file: Path = lora, of: Path = path) -> None:
        if weights is not None:
            save_file(weights, lora)
        with pytest.raises(ValueError, match=reason) as caught:
            load(of, loras=[LoRA(str(file))])
        assert "\n" not in str(caught.value)

    refused(None, "no such file")
    refused(None, "no such file", tmp_path / "weights.bin")
    lora.write_bytes(b"not safetensors")
    refused(None, "no safetensors file")
    refused({"conv.weight": torch.zeros(3)}, "holds no LoRA")
    layer = f"unet.{UNET_LAYER}"
    small = {f"{layer}.lora_A.weight": torch.ones(2, 3), f"{layer}.lora_B.weight": torch.ones(16, 2)}
    refused(small, "does not fit")
    refused({"unet.nowhere.lora_A.weight": torch.ones(2, 3), "unet.nowhere.lora_B.weight": torch.ones(4, 2)}, "fit")
    refused({f"{layer}.lora_A.weight": torch.ones(2, 16), f"{layer}.lora_B.weight": torch.ones(16, 2)},
            "no LoRA loader for PixArtSigmaPipeline", of=folder("pixart"))  # fmt: skip
    save_file(small, tmp_path / "second.safetensors")
    refused(None, "2 of them", tmp_path)
    with pytest.raises(ValueError, match="finite"):
        LoRA("x", float("nan"))


CONTIGUOUS = MemoryOptions(channels_last=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "economy"),
    [
        ("sd", MemoryOptions(channels_last=True)),
        ("sd", MemoryOptions(slices=True)),
        ("sd", MemoryOptions(offload="blocks")),
        ("sd", MemoryOptions(offload="leaves", channels_last=True)),
        ("sdxl", MemoryOptions(offload="leaves")),
        ("if", MemoryOptions(offload="leaves", slices=True)),
        ("sd3", MemoryOptions(offload="blocks")),
        ("flux", MemoryOptions(offload="leaves")),
        ("pixart", MemoryOptions(offload="leaves")),
    ],
)
def test_memory_options_change_no_prediction(name: str, economy: MemoryOptions, folder: Callable[[str], Path]) -> None:
    plain, economical = load(folder(name), economy=CONTIGUOUS), load(folder(name), economy=economy)
    assert torch.allclose(prediction(economical), prediction(plain), atol=2e-5)
    assert economical.device == torch.device("cpu")
    if economy.offload != "none":
        z = torch.zeros(1, *economical.shape, requires_grad=True)
        with pytest.raises(ValueError, match="cannot be differentiated"):
            economical(z, torch.tensor([0.5]))


@pytest.mark.parametrize(("asked", "used"), [(None, True), (True, True), (False, False)])
def test_convolutions_are_channels_last_on_the_cpu(
    asked: bool | None, used: bool, folder: Callable[[str], Path]
) -> None:
    """Weights have that layout by default; results are contiguous in any case, as checkpoints restore them."""
    prior = load(folder("sd"), economy=MemoryOptions(channels_last=asked))
    for network in (prior.network, prior.pipe.vae):
        weights = [p for p in network.parameters() if p.ndim == 4 and min(p.shape[1:3]) > 1]
        assert weights and all(p.is_contiguous(memory_format=torch.channels_last) == used for p in weights)
    z = prior.codec.encode(torch.zeros(2, *prior.codec.image_shape(prior.shape)))
    outputs = {"encode": z, "decode": prior.codec.decode(z), "at": prior(z, torch.tensor([0.5, 0.5])).z}
    assert all(output.is_contiguous() for output in outputs.values()), outputs


@pytest.mark.slow
def test_a_compiled_network_predicts_the_same(folder: Callable[[str], Path]) -> None:
    economical = load(folder("sd"), economy=MemoryOptions(compile=True))
    with torch.compiler.set_stance("fail_on_recompile"), pytest.raises(RuntimeError, match="fail_on_recompile"):
        prediction(economical)  # it would be compiled here
    with torch.compiler.set_stance("force_eager"):
        assert torch.allclose(prediction(economical), prediction(load(folder("sd"))), atol=1e-6)


@pytest.mark.parametrize(
    "economy", [MemoryOptions(recompute=True), MemoryOptions(tiles=True), MemoryOptions(channels_last=True)]
)
def test_gradients_pass_the_economical_encoder(economy: MemoryOptions, folder: Callable[[str], Path]) -> None:
    """Recomputing is exact; tiles of the whole image's size too, and overlapping ones almost, off their seams."""
    image = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    found = []
    for options in (CONTIGUOUS, economy):
        codec = load(folder("sd"), size=48, economy=options).codec
        pixels = image.clone().requires_grad_()
        z = codec.encode(pixels)
        z.square().sum().backward()
        assert pixels.grad is not None
        found.append((z.detach(), pixels.grad, codec.decode(z.detach())))
    (z, grad, back), (other_z, other_grad, other_back) = found
    if economy.tiles:
        assert other_z.shape == z.shape and other_back.shape == back.shape
        assert (other_grad.abs() > 0).all() and torch.isfinite(other_grad).all()
        assert (other_z[..., :4, :4] - z[..., :4, :4]).abs().mean() < 0.25 * z.std(), "off the seams"
    else:
        assert torch.allclose(other_z, z, atol=1e-5) and torch.allclose(other_back, back, atol=1e-5)
        assert torch.allclose(other_grad, grad, rtol=1e-4, atol=1e-5 * grad.abs().max().item())


def test_contradictory_memory_options(folder: Callable[[str], Path]) -> None:
    with pytest.raises(ValueError, match="cannot be offloaded"):
        MemoryOptions(offload="blocks", compile=True)
    with pytest.raises(ValueError, match="no sliced attention"):
        load(folder("flux"), economy=MemoryOptions(slices=True))
    with pytest.raises(ValueError, match="a pipeline of pixels"):
        load(folder("if"), economy=MemoryOptions(tiles=True))


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_sds_of_a_flow_is_the_formula(name: str, folder: Callable[[str], Path]) -> None:
    """z_t = (1 - s) z + s n, the network says v = n - z: eps = z_t + (1 - s) v, weighed by sigma squared."""
    import diffusers

    prior, path = load(folder(name), guidance=3.0), folder(name)
    kind = diffusers.StableDiffusion3Pipeline if name == "sd3" else diffusers.FluxPipeline
    pipe = kind.from_pretrained(path)
    z = torch.randn(1, *prior.shape, generator=torch.Generator().manual_seed(3))
    rng = torch.Generator().manual_seed(5)
    conditions = prior.conditions([TEXT])
    guided = ms.Guided(prior, 3.0)
    ours, _ = ms.SDS(ms.Uniform(0.6, 0.6)).step(z, guided, None, conditions=conditions, progress=0.0, rng=rng)
    assert ours.eps is not None and ours.t is not None
    if name == "sd3":
        s = 3.0 * 0.6 / (1 + 2.0 * 0.6)
    else:  # the shift of 256 to 4096 tokens between 0.5 and 1.15, for so few
        tokens = prior.shape[1] * prior.shape[2] / 4
        mu = 0.5 + 0.65 * (tokens - 256) / (4096 - 256)
        s = 1 / (1 + (1 / 0.6 - 1) / torch.tensor(mu).exp().item())
    z_t = (1 - s) * z + s * ours.eps
    found = []
    for text in ("", TEXT):
        with torch.no_grad():
            if name == "sd3":
                embeds, _, pooled, _ = pipe.encode_prompt(text, None, None, do_classifier_free_guidance=False)
                raw = pipe.transformer(
                    hidden_states=z_t, timestep=torch.tensor([1000 * s]), encoder_hidden_states=embeds,
                    pooled_projections=pooled,
                ).sample  # fmt: skip
            else:
                embeds, pooled, ids = pipe.encode_prompt(text, None)
                places = pipe._prepare_latent_image_ids(1, z.shape[2] // 2, z.shape[3] // 2, "cpu", torch.float32)
                packed = pipe.transformer(
                    hidden_states=pipe._pack_latents(z_t, *z.shape), timestep=torch.tensor([s]),
                    guidance=torch.tensor([3.0]), encoder_hidden_states=embeds, pooled_projections=pooled, txt_ids=ids,
                    img_ids=places,
                ).sample  # fmt: skip
                raw = pipe._unpack_latents(packed, 16, 16, 2)
            found.append(z_t + (1 - s) * raw)
    eps = found[0] + 3.0 * (found[1] - found[0])
    want = s**2 * (eps - ours.eps)
    assert torch.allclose(ours.grad, want, rtol=1e-3, atol=1e-4 * want.abs().max())
