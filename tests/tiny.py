"""Tiny pipelines of every supported class, with random weights and tokenizers built on the fly."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from modeseek.priors.pipeline import Pipeline

WIDTH = 16  # dimension of the text embeddings
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False}


def clip_tokenizer(folder: Path) -> CLIPTokenizer:
    """Tokenizer of single letters and one word."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(33, 127)]
    words = [*letters, *(letter + "</w>" for letter in letters), "re", "red</w>", "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\nr e\nre d</w>\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16)


def t5_tokenizer() -> T5Tokenizer:
    letters = [(chr(code), -3.0) for code in range(33, 127)]
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -2.0), ("\u2581", -2.0), *letters]
    return T5Tokenizer(vocab=vocab, extra_ids=0, model_max_length=20)


def clip(projected: bool = False, width: int = WIDTH) -> Any:
    kind = CLIPTextModelWithProjection if projected else CLIPTextModel
    config = CLIPTextConfig(
        vocab_size=200, hidden_size=width, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=16, projection_dim=width, bos_token_id=190, eos_token_id=191, pad_token_id=191,
    )  # fmt: skip
    return kind(config).eval()


def t5(width: int = WIDTH) -> T5EncoderModel:
    config = T5Config(vocab_size=120, d_model=width, d_kv=8, d_ff=32, num_layers=2, num_heads=2, pad_token_id=0)
    return T5EncoderModel(config).eval()


def vae(channels: int = 4, **config: Any) -> diffusers.AutoencoderKL:
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 16), norm_num_groups=4, latent_channels=channels, sample_size=16,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, **config,
    )  # fmt: skip


def unet(**config: Any) -> diffusers.UNet2DConditionModel:
    defaults: dict[str, Any] = {
        "sample_size": 8, "block_out_channels": (8, 16), "norm_num_groups": 4, "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "attention_head_dim": 4,
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "cross_attention_dim": WIDTH,
    }  # fmt: skip
    return diffusers.UNet2DConditionModel(**(defaults | config)).eval()


def stable_diffusion(folder: Path, prediction: str = "epsilon", zero_snr: bool = False) -> Any:
    scheduler = diffusers.DDIMScheduler(
        **BETAS, prediction_type=prediction, set_alpha_to_one=False, rescale_betas_zero_snr=zero_snr,
        timestep_spacing="trailing" if zero_snr else "leading", steps_offset=0 if zero_snr else 1,
    )  # fmt: skip
    return diffusers.StableDiffusionPipeline(
        vae=vae(), text_encoder=clip(), tokenizer=clip_tokenizer(folder / "words"), unet=unet(), scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def sdxl(folder: Path) -> Any:
    network = unet(
        cross_attention_dim=2 * WIDTH, addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=WIDTH + 6 * 8,
    )  # fmt: skip
    return diffusers.StableDiffusionXLPipeline(
        vae=vae(), text_encoder=clip(), text_encoder_2=clip(projected=True), tokenizer=clip_tokenizer(folder / "1"),
        tokenizer_2=clip_tokenizer(folder / "2"), unet=network, scheduler=diffusers.EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading",
            steps_offset=1,
        ),
    )  # fmt: skip


def deepfloyd(folder: Path) -> Any:
    network = unet(
        in_channels=3, out_channels=6, encoder_hid_dim=WIDTH, cross_attention_dim=WIDTH,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"), act_fn="gelu",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"), encoder_hid_dim_type="text_proj",
        mid_block_type="UNetMidBlock2DSimpleCrossAttn", resnet_time_scale_shift="scale_shift",
    )  # fmt: skip
    scheduler = diffusers.DDIMScheduler(beta_schedule="squaredcos_cap_v2", clip_sample=False, set_alpha_to_one=False)
    return diffusers.IFPipeline(
        tokenizer=t5_tokenizer(), text_encoder=t5(), unet=network, scheduler=scheduler, safety_checker=None,
        feature_extractor=None, watermarker=None, requires_safety_checker=False,
    )  # fmt: skip


def sd3(folder: Path) -> Any:
    network = diffusers.SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=2 * WIDTH, caption_projection_dim=16, pooled_projection_dim=2 * WIDTH, out_channels=4,
        pos_embed_max_size=16,
    )  # fmt: skip
    return diffusers.StableDiffusion3Pipeline(
        transformer=network.eval(), vae=vae(shift_factor=0.06, scaling_factor=1.5), text_encoder=clip(projected=True),
        text_encoder_2=clip(projected=True), text_encoder_3=t5(2 * WIDTH), tokenizer=clip_tokenizer(folder / "1"),
        tokenizer_2=clip_tokenizer(folder / "2"), tokenizer_3=t5_tokenizer(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    )  # fmt: skip


def flux(folder: Path, embedded: bool = True) -> Any:
    network = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=2 * WIDTH, pooled_projection_dim=WIDTH, guidance_embeds=embedded, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    return diffusers.FluxPipeline(
        transformer=network.eval(), vae=vae(shift_factor=0.1, scaling_factor=0.4), text_encoder=clip(),
        text_encoder_2=t5(2 * WIDTH), tokenizer=clip_tokenizer(folder / "1"), tokenizer_2=t5_tokenizer(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    )  # fmt: skip


def pixart(folder: Path) -> Any:
    network = diffusers.PixArtTransformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=8, num_layers=2, num_attention_heads=2,
        attention_head_dim=8, cross_attention_dim=16, caption_channels=WIDTH, use_additional_conditions=False,
    )  # fmt: skip
    scheduler = diffusers.DDIMScheduler(**BETAS, set_alpha_to_one=False, steps_offset=1)
    return diffusers.PixArtSigmaPipeline(
        tokenizer=t5_tokenizer(), text_encoder=t5(), vae=vae(), transformer=network.eval(), scheduler=scheduler
    )


MAKERS: dict[str, Any] = {
    "sd": stable_diffusion,
    "sd-v": lambda folder: stable_diffusion(folder, "v_prediction"),
    "sd-v-zero-snr": lambda folder: stable_diffusion(folder, "v_prediction", zero_snr=True),
    "sdxl": sdxl,
    "if": deepfloyd,
    "sd3": sd3,
    "flux": flux,
    "flux-schnell": lambda folder: flux(folder, embedded=False),
    "pixart": pixart,
}


def make(name: str, folder: Path) -> Path:
    """Saves a pipeline of that family, without zero-initialised weights, and returns its folder."""
    with torch.random.fork_rng():
        torch.manual_seed(zlib.crc32(name.encode()))
        pipe = MAKERS[name](folder / "made")
        network = pipe.unet if hasattr(pipe, "unet") else pipe.transformer
        for parameter in network.parameters():  # zero-initialised gates would hide what a condition does
            if parameter.ndim > 1 and parameter.abs().max() == 0:
                torch.nn.init.normal_(parameter, std=0.3)
    target = folder / name
    pipe.save_pretrained(target, safe_serialization=True)
    return target


def kept(place: Path) -> Callable[[str], Path]:
    """Returns a function from a family's name to its folder, which is made at the first call."""
    folders: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in folders:
            folders[name] = make(name, place / name)
        return folders[name]

    return get


def load(path: Path, **options: Any) -> Pipeline:
    """Loads a small pipeline, by default at its small size and with prompts cached in memory."""
    return Pipeline.load(path, **({"cache": None, "size": None if path.name == "if" else 16} | options))
