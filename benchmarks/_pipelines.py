"""Full-size pipelines with random weights, as returned by `Pipeline.load`, with cached prompts."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import modeseek as ms
from modeseek.priors.pipeline.architectures import FAMILY_BY_CLASS
from modeseek.priors.pipeline.pipeline import z_shape
from modeseek.priors.pipeline.text_cache import TextCache

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
tiny = importlib.import_module("tiny")  # small pipelines made from configuration

TEXT = "a red cone on a blue cube"


@dataclass(frozen=True)
class PipelineShape:
    """Configuration of a pipeline's network and autoencoder.

    Attributes:
        kind: class name of the diffusers pipeline.
        width: dimension of the text embeddings.
        unet: configuration of the U-Net.
        vae: channels of the autoencoder's blocks.
    """

    kind: str
    width: int
    unet: dict[str, Any]
    vae: tuple[int, ...] = (128, 256, 512, 512)


_BLOCKS = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
}
SHAPES = {
    "sd-1.5": PipelineShape("StableDiffusionPipeline", 768, {"sample_size": 64, "attention_head_dim": 8}),
    "sdxl": PipelineShape(
        "StableDiffusionXLPipeline",
        2048,
        _BLOCKS
        | {
            "sample_size": 128,
            "block_out_channels": (320, 640, 1280),
            "attention_head_dim": (5, 10, 20),
            "transformer_layers_per_block": (1, 2, 10),
            "projection_class_embeddings_input_dim": 1280 + 6 * 256,
        },
    ),
    "sd-1.5, a fifth as wide": PipelineShape(
        "StableDiffusionPipeline",
        768,
        {"sample_size": 64, "block_out_channels": (64, 128, 256, 256), "attention_head_dim": 8},
        (32, 64, 128, 128),
    ),
}


def tiny_pipeline(folder: Path, side: int, device: str) -> ms.Pipeline:
    """Returns the smallest Stable Diffusion pipeline."""
    return _wrapped(tiny.stable_diffusion(folder / "made").to(device), "StableDiffusionPipeline", side, device)


def full_size_pipeline(
    shape: PipelineShape, folder: Path, side: int, device: str, economy: ms.priors.MemoryOptions | None = None
) -> ms.Pipeline:
    """Returns a pipeline of that shape; float16 (autoencoder included) with CUDA, else float32."""
    import diffusers

    large = shape.kind == "StableDiffusionXLPipeline"
    pipe = (tiny.sdxl if large else tiny.stable_diffusion)(folder / "made")
    with torch.device(device):
        network = diffusers.UNet2DConditionModel(cross_attention_dim=shape.width, **shape.unet)
        autoencoder = diffusers.AutoencoderKL(
            block_out_channels=shape.vae, layers_per_block=2, latent_channels=4, sample_size=512,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        )  # fmt: skip
    dtype = torch.float16 if device != "cpu" else torch.float32
    pipe.unet, pipe.vae = network.to(dtype), autoencoder.to(dtype)
    return _wrapped(pipe, shape.kind, side, device, shape.width, economy)


def _wrapped(
    pipe: Any,
    kind: str,
    side: int,
    device: str,
    width: int = tiny.WIDTH,
    economy: ms.priors.MemoryOptions | None = None,
) -> ms.Pipeline:
    """Returns the pipeline as a prior with `TEXT` cached; encoding another prompt is an error."""
    family = FAMILY_BY_CLASS[kind]
    generator = torch.Generator().manual_seed(0)

    def encode(texts: Sequence[str]) -> Any:
        cond: dict[str, Any] = {"text": torch.randn(len(texts), 77, width, generator=generator)}
        if kind == "StableDiffusionXLPipeline":
            cond["pooled"] = torch.randn(len(texts), 1280, generator=generator)
        return cond, {name: 0 * part[:1] for name, part in cond.items()}

    shape = z_shape(family, dict(pipe.unet.config), dict(pipe.vae.config), side)
    options = {} if economy is None else {"economy": economy}
    prior = ms.Pipeline(
        pipe, family, shape, TextCache(encode, "benchmark", None), device=torch.device(device), **options
    )
    prior.conditions([TEXT])

    def refuse_encoding(texts: Sequence[str]) -> Any:
        raise AssertionError(f"prompts must be cached, got a second encoding of {texts}")

    prior.text_cache._encode = refuse_encoding
    return prior
