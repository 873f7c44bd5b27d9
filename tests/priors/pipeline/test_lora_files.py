"""LoRA files as trainers write them: formats, scaling, files that fit in part, and files that are no LoRA."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from modeseek.io.remarks import RemarkWarning, collect_remarks
from modeseek.priors.pipeline import LoRA, Pipeline
from modeseek.priors.pipeline.loading import find_pipeline
from modeseek.priors.pipeline.lora import fit_loras
from modeseek.priors.pipeline.lora_fit import FittedLoRA
from modeseek.priors.pipeline.text_encoding import skeletons

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
BLOCK = "down_blocks.1.attentions.0.transformer_blocks.0"
Q, K = f"{BLOCK}.attn1.to_q", f"{BLOCK}.attn1.to_k"
SGM = "lora_unet_input_blocks_3_1_transformer_blocks_0_attn1_to_q"  # the same layer in kohya's SDXL files, tiny's depth
TEXT = "text_model.encoder.layers.0.self_attn"
Tensors = dict[str, Tensor]


def low_rank(seed: int, r: int = 2, rows: int = 16, columns: int = 16) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(r, columns, generator=g), torch.randn(rows, r, generator=g)


def peft(name: str, seed: int = 0, r: int = 2) -> Tensors:
    down, up = low_rank(seed, r)
    return {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}


def kohya(name: str, seed: int = 0, r: int = 2, alpha: float | None = None) -> Tensors:
    down, up = low_rank(seed, r)
    extra = {} if alpha is None else {f"{name}.alpha": torch.tensor(alpha)}
    return {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up} | extra


def product(seed: int = 0, r: int = 2) -> Tensor:
    down, up = low_rank(seed, r)
    return up @ down


def load(path: Path, *loras: LoRA, **options: Any) -> Pipeline:
    return Pipeline.load(path, loras=loras, cache=None, size=None if path.name == "if" else 16, **options)


def write(tensors: Tensors, file: Path, metadata: dict[str, str] | None = None) -> LoRA:
    save_file(tensors, file, metadata=metadata)
    return LoRA(str(file))


class Plain:
    """Pipeline without LoRA, loaded once; LoRA are merged into copies of its parts."""

    def __init__(self, path: Path) -> None:
        self.prior, source = load(path), find_pipeline(path)
        self.network = source.family.network
        self.parts = {self.network: self.prior.network, **skeletons(source)}

    def fit(self, *loras: LoRA) -> list[FittedLoRA]:
        return fit_loras(loras, self.parts, self.network, self.prior.pipe)

    def change(self, lora: LoRA, layer: str) -> Tensor:
        """How much a LoRA changes a weight of the network."""
        merged = copy.deepcopy(self.prior.network)
        for fitted in self.fit(lora):
            fitted.merge(self.network, merged)
        return merged.get_submodule(layer).weight - self.prior.network.get_submodule(layer).weight


@pytest.fixture(scope="module")
def plain(folder: Callable[[str], Path]) -> Callable[[str], Plain]:
    return cache(lambda name: Plain(folder(name)))


UNDERSCORED = Q.replace(".", "_")
FORMATS: list[tuple[str, str, str, Tensors, float]] = [  # name, pipeline, layer, file, factor of B A
    ("diffusers", "sd", Q, peft(f"unet.{Q}"), 1.0),
    ("peft", "sd", Q, peft(f"base_model.model.{Q}"), 1.0),
    ("peft, named adapter", "sd", Q, {k.replace(".weight", ".default.weight"): v for k, v in peft(Q).items()}, 1.0),
    ("bare names", "sd", Q, peft(Q), 1.0),
    ("first diffusers", "sd", Q, {
        f"unet.{BLOCK}.attn1.processor.to_q_lora.down.weight": low_rank(0)[0],
        f"unet.{BLOCK}.attn1.processor.to_q_lora.up.weight": low_rank(0)[1]}, 1.0),
    ("first diffusers, output", "sd", f"{BLOCK}.attn1.to_out.0", {
        f"unet.{BLOCK}.attn1.processor.to_out_lora.down.weight": low_rank(0)[0],
        f"unet.{BLOCK}.attn1.processor.to_out_lora.up.weight": low_rank(0)[1]}, 1.0),
    ("kohya", "sd", Q, kohya(f"lora_unet_{UNDERSCORED}", alpha=1.0), 0.5),
    ("kohya without alpha", "sd", Q, kohya(f"lora_unet_{UNDERSCORED}"), 1.0),
    ("kohya, SDXL's blocks", "sdxl", Q, kohya(SGM, alpha=3.0), 1.5),
    ("OneTrainer", "flux", "transformer_blocks.0.attn.to_q", {
        "lora_transformer_transformer_blocks_0_attn_to_q.lora_down.weight": low_rank(0, 2, 32, 32)[0],
        "lora_transformer_transformer_blocks_0_attn_to_q.lora_up.weight": low_rank(0, 2, 32, 32)[1],
        "lora_transformer_transformer_blocks_0_attn_to_q.alpha": torch.tensor([4.0])}, 2.0),
    ("peft names with alpha", "sd", Q, peft(f"unet.{Q}") | {f"unet.{Q}.alpha": torch.tensor(0.5)}, 0.25),
    ("pixel network", "if", "down_blocks.1.attentions.0.to_q", kohya("lora_unet_down_blocks_1_attentions_0_to_q"), 1.0),
    ("PixArt", "pixart", "transformer_blocks.0.attn1.to_q", peft("base_model.model.transformer_blocks.0.attn1.to_q"),
     1.0),
    ("SD3", "sd3", "transformer_blocks.0.attn.to_q", peft("transformer.transformer_blocks.0.attn.to_q"), 1.0),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "layer", "tensors", "factor"), [row[1:] for row in FORMATS],
                         ids=[row[0] for row in FORMATS])  # fmt: skip
def test_every_format_is_the_formula(
    name: str, layer: str, tensors: Tensors, factor: float, plain: Callable[[str], Plain], tmp_path: Path
) -> None:
    (down,), (up,) = ([v for k, v in tensors.items() if any(end in k for end in ends)]
                      for ends in (("lora_A", "lora_down", "lora.down"), ("lora_B", "lora_up", "lora.up")))  # fmt: skip
    with collect_remarks() as remarks:
        found = plain(name).change(write(tensors, tmp_path / "lora.safetensors"), layer)
    assert torch.allclose(found, factor * up @ down, atol=1e-5) and remarks == []


def test_each_layer_has_its_own_rank_and_alpha(
    folder: Callable[[str], Path], plain: Callable[[str], Plain], tmp_path: Path
) -> None:
    """Also in text encoders, where diffusers takes one alpha for all projections of a layer."""
    path = folder("sd")
    ranks = {"q_proj": (2, 1.0), "k_proj": (4, 1.0), "v_proj": (2, 6.0)}
    tensors = kohya(f"lora_unet_{Q.replace('.', '_')}", 1, 2, 1.0) | kohya(
        f"lora_unet_{K.replace('.', '_')}", 2, 4, 8.0
    )
    for seed, (name, (r, alpha)) in enumerate(ranks.items()):
        tensors |= kohya(f"lora_te_{TEXT}.{name}".replace(".", "_"), 10 + seed, r, alpha)
    lora = write(tensors, tmp_path / "lora.safetensors")
    assert torch.allclose(plain("sd").change(lora, Q), 0.5 * product(1, 2), atol=1e-5)
    assert torch.allclose(plain("sd").change(lora, K), 2 * product(2, 4), atol=1e-5)
    changed = tmp_path / "sd"
    shutil.copytree(path, changed)
    (file,) = (changed / "text_encoder").glob("*.safetensors")
    weights = load_file(file)
    for seed, (name, (r, alpha)) in enumerate(ranks.items()):
        key = next(key for key in weights if key.endswith(f"layers.0.self_attn.{name}.weight"))
        weights[key] += alpha / r * product(10 + seed, r)
    save_file(weights, file, metadata={"format": "pt"})
    ours, want = (prior.encode(["a red cone"])["text"] for prior in (load(path, lora), load(changed)))
    assert torch.allclose(ours, want, atol=1e-5)
    assert (ours - plain("sd").prior.encode(["a red cone"])["text"]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("settings", "factor"),
    [
        ({"lora_alpha": 6}, 3.0),
        ({"lora_alpha": 6, "use_rslora": True}, 6 / 2**0.5),
        ({"lora_alpha": 6, "alpha_pattern": {"attn1.to_q": 1}}, 0.5),
        ({"lora_alpha": 6, "alpha_pattern": {"attn1.to_v": 1}}, 3.0),
        ({}, 1.0),
    ],
)
@pytest.mark.parametrize("place", ["metadata", "adapter_config.json"])
def test_the_scaling_of_pefts_configuration(
    place: str, settings: dict[str, Any], factor: float, plain: Callable[[str], Plain], tmp_path: Path
) -> None:
    if place == "metadata":
        named = {f"unet.{key}": value for key, value in settings.items()}
        lora = write(peft(f"unet.{Q}"), tmp_path / "l.safetensors", {"lora_adapter_metadata": json.dumps(named)})
    else:
        lora = write(peft(f"base_model.model.{Q}"), tmp_path / "adapter_model.safetensors")
        (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    assert torch.allclose(plain("sd").change(lora, Q), factor * product(), atol=1e-5)


LAYERS = [
    f"{BLOCK}.{attention}.{projection}" for attention in ("attn1", "attn2") for projection in ("to_q", "to_out.0")
]


def fitting(n: int) -> Tensors:
    return {key: value for layer in LAYERS[:n] for key, value in peft(f"unet.{layer}").items()}


def misfits(n: int) -> Tensors:
    return {key: value for i in range(n) for key, value in peft(f"unet.up_blocks.9.attentions.{i}.to_q").items()}


TEXT_MISFITS = {k: v for i in range(3) for k, v in kohya(f"lora_te_text_model_encoder_layers_{7 + i}_mlp_fc1").items()}
PARTLY: list[tuple[str, Tensors, str]] = [
    ("one of four", fitting(3) | misfits(1), "3 of 4 layers are merged, .* out: unet.up_blocks.9.attentions.0.to_q$"),
    ("half", fitting(2) | misfits(2), "2 of 4 layers are merged"),
    ("text encoders", fitting(4) | TEXT_MISFITS, "4 of 7 layers are merged, .*lora_te_text_model_encoder_layers_7"),
    ("another shape", fitting(3) | {f"unet.{LAYERS[3]}.lora_A.weight": torch.ones(2, 5),
                                    f"unet.{LAYERS[3]}.lora_B.weight": torch.ones(16, 2)}, "3 of 4 .*attn2.to_out"),
    ("one factor only", fitting(3) | {f"unet.{LAYERS[3]}.lora_A.weight": torch.ones(2, 16)}, "3 of 4 .*attn2.to_out"),
    ("a full difference", fitting(2) | {f"unet.{LAYERS[3]}.diff": torch.ones(16, 16)}, "2 of 3 .*attn2.to_out"),
    ("bundled embeddings", fitting(2) | {"bundle_emb.cat.string_to_param.*": torch.ones(1, 16)}, "2 of 3 .*bundle_emb"),
]  # fmt: skip


@pytest.mark.parametrize(("tensors", "line"), [row[1:] for row in PARTLY], ids=[row[0] for row in PARTLY])
def test_layers_that_are_left_out_are_a_remark(
    tensors: Tensors, line: str, plain: Callable[[str], Plain], tmp_path: Path
) -> None:
    lora = write(tensors, tmp_path / "lora.safetensors")
    with pytest.warns(RemarkWarning, match=line) as caught, collect_remarks() as remarks:
        changes = [plain("sd").change(lora, layer) for layer in LAYERS[:2]]
    assert len(remarks) == 1 and remarks[0] == str(caught[-1].message) and lora.path in remarks[0]
    assert all(torch.allclose(change, product(), atol=1e-5) for change in changes)


SD1 = {key: value for i in range(6) for key, value in kohya(f"lora_unet_down_blocks_0_attentions_{i}_to_k").items()}
REFUSED: list[tuple[str, str, Tensors, dict[str, str], str]] = [  # name, pipeline, file, metadata, line
    ("most do not fit", "sd", fitting(1) | misfits(2), {}, "does not fit this StableDiffusionPipeline: 1 of 3 layers"),
    ("most of the network", "sd", fitting(1) | misfits(2) | {
        key: value for i in range(2) for p in ("q_proj", "k_proj", "v_proj")
        for key, value in kohya(f"lora_te_text_model_encoder_layers_{i}_self_attn_{p}").items()}, {},
     "7 of 9 layers of the file are its own; not unet.up_blocks.9.attentions.0.to_q"),
    ("another family", "sdxl", SD1 | fitting(1), {"ss_base_model_version": "sd_v1"}, r"\(trained on sd_v1\) does not"),
    ("most of the text encoder", "sd", kohya("lora_te_text_model_encoder_layers_0_self_attn_q_proj") | {
        key: value for i in range(2) for key, value in kohya(f"lora_te_text_model_encoder_layers_9_mlp_fc{i}").items()},
     {}, "1 of 3 layers of the file are its own"),
    ("text encoders that do not fit", "sd", TEXT_MISFITS, {}, "0 of 3 layers of the file are its own"),
    ("no third text encoder", "sdxl", kohya("lora_te3_encoder_block_0_layer_0_SelfAttention_q"), {}, "0 of 1 layers"),
    ("DoRA of kohya", "sd", kohya("lora_unet_x") | {"lora_unet_x.dora_scale": torch.ones(16)}, {}, "is DoRA"),
    ("DoRA of peft", "sd", peft(Q) | {f"{Q}.lora_magnitude_vector": torch.ones(16)}, {}, "is DoRA"),
    ("LoHa", "sd", {f"lora_unet_x.hada_w{i}_{s}": torch.ones(2, 2) for i in (1, 2) for s in "ab"}, {}, "is LoHa"),
    ("LoKr", "sd", {f"lora_unet_x.lokr_w{i}": torch.ones(2, 2) for i in (1, 2)}, {}, "is LoKr"),
    ("OFT", "sd", {"lora_unet_x.oft_blocks": torch.ones(2, 2, 2)}, {}, "is OFT"),
    ("Tucker", "sd", kohya("lora_unet_x") | {"lora_unet_x.lora_mid.weight": torch.ones(2, 2, 3, 3)}, {}, "Tucker form"),
    ("an IP-Adapter", "sd", {"image_proj.proj.weight": torch.ones(2, 2)}, {}, "is an IP-Adapter"),
    ("a textual inversion", "sd", {"<cat>": torch.ones(2, 16)}, {}, "it is a textual inversion"),
    ("a textual inversion of SDXL", "sdxl", {"clip_l": torch.ones(2, 16), "clip_g": torch.ones(2, 16)}, {}, "textual"),
    ("a checkpoint", "sd", {"model.diffusion_model.out.weight": torch.ones(2)}, {}, "it is a complete checkpoint"),
    ("a network", "sd", {"conv_in.weight": torch.ones(2), "conv_in.bias": torch.ones(2)}, {}, "named conv_in.bias"),
    ("nothing", "sd", {}, {}, "it is empty"),
    ("NaN", "sd", {key: value * torch.nan for key, value in peft(f"unet.{Q}").items()}, {}, "must be finite"),
    ("damaged metadata", "sd", peft(f"unet.{Q}"), {"lora_adapter_metadata": "{"}, "configuration of .* is damaged"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "tensors", "metadata", "line"), [row[1:] for row in REFUSED],
                         ids=[row[0] for row in REFUSED])  # fmt: skip
def test_other_files_are_refused_in_one_line(
    name: str, tensors: Tensors, metadata: dict[str, str], line: str, plain: Callable[[str], Plain], tmp_path: Path
) -> None:
    lora = write(tensors, tmp_path / "lora.safetensors", metadata or None)
    with pytest.raises(ValueError, match=line) as caught:
        plain(name).fit(lora)
    assert lora.path in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_second_text_encoders_layers(
    folder: Callable[[str], Path], plain: Callable[[str], Plain], tmp_path: Path
) -> None:
    """SDXL's two encoders and Flux's T5, which diffusers leaves out."""
    names = ("lora_te1_text_model_encoder_layers_0_mlp_fc1", "lora_te2_text_model_encoder_layers_0_mlp_fc1")
    for name, own in (("sdxl", names), ("flux", ("lora_te3_encoder_block_1_layer_0_SelfAttention_q",))):
        for layer in own:
            rows = 32 if "mlp" in layer else 16
            columns = 32 if "block" in layer else 16
            down, up = low_rank(4, 2, rows, columns)
            tensors = {f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up}
            prior = load(folder(name), write(tensors, tmp_path / "lora.safetensors"))
            assert prior.text_cache.identity != plain(name).prior.text_cache.identity
            ours, theirs = (p.encode(["a red cone"])["text"] for p in (prior, plain(name).prior))
            assert (ours - theirs).abs().max() > 1e-4, layer


def test_what_a_scale_may_be(folder: Callable[[str], Path], plain: Callable[[str], Plain], tmp_path: Path) -> None:
    lora = write(peft(f"unet.{Q}"), tmp_path / "lora.safetensors")
    found = plain("sd").change(LoRA(lora.path, -0.5), Q)
    assert torch.allclose(found, -0.5 * product(), atol=1e-5)
    for scale in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="scale must be finite"):
            LoRA(lora.path, scale)
    with pytest.raises(ValueError, match=r"merged weights must be finite, got others from .* at scale 1e\+30"):
        load(folder("sd"), LoRA(lora.path, 1e30), dtype=torch.float16)
