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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
tiny = importlib.import_module("tiny")  # small pipelines made from configuration

TEXT = "a red cone on a blue cube"


@dataclass(frozen=True)
class PipelineShape:
    """Configuration of a pipeline's network and autoencoder.

    Attributes:
        kind: class name of the diffusers pipeline.
        width: dimension of the text embeddings.
        network: configuration of the U-Net or transformer.
        vae: channels of the autoencoder's blocks.
        latent: channels of z.
        pooled: dimension of the pooled text embeddings, where there are some.
    """

    kind: str
    width: int
    network: dict[str, Any]
    vae: tuple[int, ...] = (128, 256, 512, 512)
    latent: int = 4
    pooled: int = 0


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
        pooled=1280,
    ),
    "sd3": PipelineShape(  # SD 3 medium
        "StableDiffusion3Pipeline",
        4096,
        {
            "sample_size": 128,
            "in_channels": 16,
            "out_channels": 16,
            "num_layers": 24,
            "attention_head_dim": 64,
            "num_attention_heads": 24,
            "joint_attention_dim": 4096,
            "caption_projection_dim": 1536,
            "pooled_projection_dim": 2048,
            "pos_embed_max_size": 192,
        },
        latent=16,
        pooled=2048,
    ),
    "sd-1.5, a fifth as wide": PipelineShape(
        "StableDiffusionPipeline",
        768,
        {"sample_size": 64, "block_out_channels": (64, 128, 256, 256), "attention_head_dim": 8},
        (32, 64, 128, 128),
    ),
}


MADE = {
    "StableDiffusionPipeline": tiny.stable_diffusion,
    "StableDiffusionXLPipeline": tiny.sdxl,
    "StableDiffusion3Pipeline": tiny.sd3,
}


class CachedPrompts:
    """Prompts of a pipeline without text encoders: random conditions of `TEXT` and zeros; others are an error."""

    def __init__(self, width: int, pooled: int) -> None:
        rng = torch.Generator().manual_seed(0)
        self._cond = {"text": torch.randn(1, 77, width, generator=rng)}
        if pooled:
            self._cond["pooled"] = torch.randn(1, pooled, generator=rng)
        self.cache = None

    def conditions(self, texts: Sequence[str], negative: Sequence[str] | None = None) -> ms.Conditions:
        if list(texts) != [TEXT] or negative is not None:
            raise AssertionError(f"prompts must be cached, got {texts} and {negative}")
        return ms.Conditions(self._cond, null=self.null())

    def null(self) -> dict[str, torch.Tensor]:
        return {name: torch.zeros_like(part) for name, part in self._cond.items()}


def tiny_pipeline(folder: Path, side: int, device: str, kind: str = "StableDiffusionPipeline") -> ms.Pipeline:
    """Returns the smallest pipeline of a kind."""
    pipe = MADE[kind](folder / "made").to(device)
    width, pooled = {
        "StableDiffusionPipeline": (tiny.WIDTH, 0),
        "StableDiffusionXLPipeline": (2 * tiny.WIDTH, tiny.WIDTH),
        "StableDiffusion3Pipeline": (2 * tiny.WIDTH, 2 * tiny.WIDTH),
    }[kind]
    return _wrapped(pipe, kind, side, device, CachedPrompts(width, pooled))


def full_size_pipeline(
    shape: PipelineShape, folder: Path, side: int, device: str, economy: ms.priors.MemoryOptions | None = None
) -> ms.Pipeline:
    """Returns a pipeline of that shape; float16 (autoencoder included) with CUDA, else float32."""
    import diffusers

    pipe = MADE[shape.kind](folder / "made")
    dtype = torch.float16 if device != "cpu" else torch.float32
    with torch.device(device):
        if shape.kind == "StableDiffusion3Pipeline":
            pipe.transformer = diffusers.SD3Transformer2DModel(**shape.network).to(dtype)
        else:
            pipe.unet = diffusers.UNet2DConditionModel(cross_attention_dim=shape.width, **shape.network).to(dtype)
        pipe.vae = diffusers.AutoencoderKL(
            block_out_channels=shape.vae, layers_per_block=2, latent_channels=shape.latent, sample_size=512,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        ).to(dtype)  # fmt: skip
    return _wrapped(pipe, shape.kind, side, device, CachedPrompts(shape.width, shape.pooled), economy)


def _wrapped(
    pipe: Any,
    kind: str,
    side: int,
    device: str,
    prompts: CachedPrompts,
    economy: ms.priors.MemoryOptions | None = None,
) -> ms.Pipeline:
    """Returns the pipeline as a prior with `TEXT` cached."""
    family = FAMILY_BY_CLASS[kind]
    shape = z_shape(family, dict(getattr(pipe, family.network).config), dict(pipe.vae.config), side)
    options = {} if economy is None else {"economy": economy}
    return ms.Pipeline(pipe, family, shape, prompts, device=torch.device(device), **options)  # pyright: ignore[reportArgumentType]
