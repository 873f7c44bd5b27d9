"""Pipeline families: prompt encoding and network call of each supported architecture of diffusers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from modeseek.priors.pipeline.chunked_encoding import encode_sd_chunks, encode_sdxl_chunks
from modeseek.priors.pipeline.prompt_length import TokenLimits, clean_caption, expand_embeddings
from modeseek.priors.pipeline.vae import downscale
from modeseek.pytree import Cond

EncodedTexts = tuple[Cond, Cond]
"""Conditions of the texts and of the empty text: dicts of tensors with a leading axis (1 for the latter)."""
_PROMPTS = TokenLimits(("tokenizer",), expand_embeddings)


@dataclass(frozen=True)
class PipelineFamily:
    """Family of diffusers pipelines that share one architecture.

    Attributes:
        classes: pipeline class names in `model_index.json`.
        network: component that predicts: unet or transformer.
        kind: training levels of the network: levels (as its scheduler says) or flow (always a rectified flow).
        latent: True if z is a VAE's latent, False if it is pixels in [-1, 1].
        encode: function (pipeline with its text encoders, texts) -> conditions of the texts and of the empty text.
        predict: function (pipeline, input of the network, timestep, cond, guidance) -> network output, extra channels
            included.
        multiple: divisor of the height and the width of z.
        patch: patch size of a transformer.
        default_side: height and width of z where the network's configuration has none.
        embeds: kinds of added embeddings (`addition_embed_type`) that the pipeline gives to its network.
        uses_shift: True if the pipeline subtracts the autoencoder's shift_factor from latents.
        uses_statistics: True if the pipeline normalises latents by the autoencoder's latents_mean and latents_std.
        max_shift: largest shift of times that grow with the resolution, where the scheduler has none.
        token_limits: numbers of tokens that its text encoders read.
        encode_chunks: function (pipeline with its text encoders, texts) -> one condition for each text, in chunks; None
            where its text encoders are not all CLIP's.
    """

    classes: tuple[str, ...]
    network: Literal["unet", "transformer"]
    kind: Literal["levels", "flow"]
    latent: bool
    encode: Callable[[Any, Sequence[str]], EncodedTexts]
    predict: Callable[[Any, Tensor, Tensor, Cond, float], Tensor]
    multiple: int = 1
    patch: int = 2
    default_side: int = 64
    embeds: tuple[str | None, ...] = (None, "text")
    uses_shift: bool = False
    uses_statistics: bool = False
    max_shift: float = 1.15
    token_limits: TokenLimits = _PROMPTS
    encode_chunks: Callable[[Any, Sequence[str]], list[Cond]] | None = None


def _guidance_embedding(pipe: Any, timestep: Tensor, guidance: float) -> Tensor | None:
    """Returns the embedding of the guidance scale, for U-Nets that it was distilled into."""
    from diffusers.models.embeddings import get_timestep_embedding

    width = pipe.unet.config.time_cond_proj_dim
    if width is None:
        return None
    return get_timestep_embedding(
        torch.full_like(timestep, 1000 * (guidance - 1)), width, flip_sin_to_cos=False, downscale_freq_shift=1
    ).to(pipe.unet.dtype)


def _encode_sd(pipe: Any, texts: Sequence[str]) -> EncodedTexts:
    embeds, null = pipe.encode_prompt(list(texts), pipe._execution_device, 1, True, [""] * len(texts))
    return {"text": embeds}, {"text": null[:1]}


def _predict_sd(pipe: Any, z: Tensor, timestep: Tensor, cond: Cond, guidance: float) -> Tensor:
    scale = _guidance_embedding(pipe, timestep, guidance)
    return pipe.unet(z, timestep, encoder_hidden_states=cond["text"], timestep_cond=scale, return_dict=False)[0]


def _encode_sdxl(pipe: Any, texts: Sequence[str]) -> EncodedTexts:
    embeds, null, pooled, null_pooled = pipe.encode_prompt(list(texts), device=pipe._execution_device)
    return {"text": embeds, "pooled": pooled}, {"text": null[:1], "pooled": null_pooled[:1]}


def _predict_sdxl(pipe: Any, z: Tensor, timestep: Tensor, cond: Cond, guidance: float) -> Tensor:
    factor = downscale(pipe.vae.config)
    size = [factor * z.shape[2], factor * z.shape[3]]
    ids = torch.tensor([*size, 0, 0, *size], dtype=cond["pooled"].dtype, device=z.device)  # original, crop, target
    added = {"text_embeds": cond["pooled"], "time_ids": ids.expand(len(z), -1)}
    output = pipe.unet(
        z,
        timestep,
        encoder_hidden_states=cond["text"],
        timestep_cond=_guidance_embedding(pipe, timestep, guidance),
        added_cond_kwargs=added,
        return_dict=False,
    )
    return output[0]


def _encode_if(pipe: Any, texts: Sequence[str]) -> EncodedTexts:
    embeds, null = pipe.encode_prompt(
        list(texts), True, device=pipe._execution_device, negative_prompt=[""] * len(texts)
    )
    return {"text": embeds}, {"text": null[:1]}


def _encode_sd3(pipe: Any, texts: Sequence[str]) -> EncodedTexts:
    prompts = list(texts)
    embeds, null, pooled, null_pooled = pipe.encode_prompt(prompts, prompts, prompts, device=pipe._execution_device)
    return {"text": embeds, "pooled": pooled}, {"text": null[:1], "pooled": null_pooled[:1]}


def _predict_sd3(pipe: Any, z: Tensor, timestep: Tensor, cond: Cond, guidance: float) -> Tensor:
    output = pipe.transformer(
        z,
        timestep=timestep,
        encoder_hidden_states=cond["text"],
        pooled_projections=cond["pooled"],
        return_dict=False,
    )
    return output[0]


def _encode_flux(pipe: Any, texts: Sequence[str]) -> EncodedTexts:
    embeds, pooled, _ = pipe.encode_prompt([*texts, ""], None, device=pipe._execution_device)
    return {"text": embeds[:-1], "pooled": pooled[:-1]}, {"text": embeds[-1:], "pooled": pooled[-1:]}


def _predict_flux(pipe: Any, z: Tensor, timestep: Tensor, cond: Cond, guidance: float) -> Tensor:
    b, c, height, width = z.shape
    packed = z.reshape(b, c, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    positions = torch.cartesian_prod(torch.arange(height // 2), torch.arange(width // 2)).to(z)
    config, text = pipe.transformer.config, cond["text"]
    output = pipe.transformer(
        hidden_states=packed,
        timestep=timestep / 1000,
        guidance=torch.full_like(timestep, guidance) if config.guidance_embeds else None,
        pooled_projections=cond["pooled"],
        encoder_hidden_states=text,
        txt_ids=torch.zeros(text.shape[1], 3, dtype=z.dtype, device=z.device),
        img_ids=torch.cat([torch.zeros_like(positions[:, :1]), positions], 1),
        return_dict=False,
    )[0]
    return output.reshape(b, height // 2, width // 2, c, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(b, c, height, width)


def _encode_pixart(pipe: Any, texts: Sequence[str]) -> EncodedTexts:
    embeds, mask, null, null_mask = pipe.encode_prompt(list(texts), True, "", device=pipe._execution_device)
    return {"text": embeds, "mask": mask}, {"text": null[:1], "mask": null_mask[:1]}


def _predict_pixart(pipe: Any, z: Tensor, timestep: Tensor, cond: Cond, guidance: float) -> Tensor:
    added: dict[str, Any] = {"resolution": None, "aspect_ratio": None}
    if getattr(pipe.transformer, "use_additional_conditions", False):
        factor = downscale(pipe.vae.config)
        side = torch.tensor([factor * z.shape[2], factor * z.shape[3]], dtype=z.dtype, device=z.device)
        added = {"resolution": side.expand(len(z), -1), "aspect_ratio": (side[:1] / side[1:]).expand(len(z), -1)}
    output = pipe.transformer(
        z,
        encoder_hidden_states=cond["text"],
        encoder_attention_mask=cond["mask"],
        timestep=timestep,
        added_cond_kwargs=added,
        return_dict=False,
    )
    return output[0]


FAMILIES = (
    PipelineFamily(
        ("StableDiffusionPipeline",),
        "unet",
        "levels",
        True,
        _encode_sd,
        _predict_sd,
        encode_chunks=encode_sd_chunks,
    ),
    PipelineFamily(
        ("StableDiffusionXLPipeline",),
        "unet",
        "levels",
        True,
        _encode_sdxl,
        _predict_sdxl,
        embeds=("text_time",),
        uses_statistics=True,
        token_limits=TokenLimits(("tokenizer", "tokenizer"), expand_embeddings),
        encode_chunks=encode_sdxl_chunks,
    ),
    PipelineFamily(
        ("IFPipeline",),
        "unet",
        "levels",
        False,
        _encode_if,
        _predict_sd,
        embeds=(None, "text"),
        token_limits=TokenLimits((77,), clean_caption),
    ),
    PipelineFamily(
        ("StableDiffusion3Pipeline",),
        "transformer",
        "flow",
        True,
        _encode_sd3,
        _predict_sd3,
        multiple=2,
        uses_shift=True,
        max_shift=1.16,
        token_limits=TokenLimits(("tokenizer", "tokenizer", "sequence")),
    ),
    PipelineFamily(
        ("FluxPipeline",),
        "transformer",
        "flow",
        True,
        _encode_flux,
        _predict_flux,
        multiple=2,
        patch=1,
        default_side=128,
        uses_shift=True,
        token_limits=TokenLimits(("tokenizer", "sequence"), expand_embeddings),
    ),
    PipelineFamily(
        ("PixArtAlphaPipeline", "PixArtSigmaPipeline"),
        "transformer",
        "levels",
        True,
        _encode_pixart,
        _predict_pixart,
        multiple=2,
        token_limits=TokenLimits(("sequence",), clean_caption),
    ),
)
FAMILY_BY_CLASS = {name: family for family in FAMILIES for name in family.classes}
