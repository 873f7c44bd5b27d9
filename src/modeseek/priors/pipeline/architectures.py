"""What differs between one architecture and the next: how to encode words, and how to ask the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from modeseek.pytree import Cond

EncodedTexts = tuple[Cond, Cond]
"""Conditions of the texts and of no text: dicts of tensors with a leading axis (the latter's is 1)."""


@dataclass(frozen=True)
class PipelineFamily:
    """One architecture.

    Attributes:
        classes: names in `model_index.json`.
        network: the component that predicts: unet or transformer.
        kind: levels (trained on discrete noise levels) or flow (rectified flow).
        latent: whether z is a VAE's latent; else pixels in [-1, 1].
        encode: (pipeline with its text encoders, texts) -> conditions of the texts and of none.
        ask: (pipeline, z, time in [0, 1], cond, guidance) -> the network's answer, its extra channels included.
        multiple: z's sides must be divisible by it.
        side: of z, where the network's configuration names none.
    """

    classes: tuple[str, ...]
    network: Literal["unet", "transformer"]
    kind: Literal["levels", "flow"]
    latent: bool
    encode: Callable[[Any, Sequence[str]], EncodedTexts]
    predict: Callable[[Any, Tensor, Tensor, Cond, float], Tensor]
    multiple: int = 1
    default_side: int = 64


def _step(pipe: Any, time: Tensor) -> Tensor:
    """The network's own clock: an index, between two of which it interpolates."""
    return time.float() * (pipe.scheduler.config.num_train_timesteps - 1)


def _encode_sd(pipe: Any, texts: Sequence[str]) -> EncodedTexts:
    words, null = pipe.encode_prompt(list(texts), pipe._execution_device, 1, True, [""] * len(texts))
    return {"text": words}, {"text": null[:1]}


def _ask_sd(pipe: Any, z: Tensor, time: Tensor, cond: Cond, guidance: float) -> Tensor:
    return pipe.unet(z, _step(pipe, time), encoder_hidden_states=cond["text"], return_dict=False)[0]


def _encode_sdxl(pipe: Any, texts: Sequence[str]) -> EncodedTexts:
    words, null, pooled, null_pooled = pipe.encode_prompt(list(texts), device=pipe._execution_device)
    return {"text": words, "pooled": pooled}, {"text": null[:1], "pooled": null_pooled[:1]}


def _ask_sdxl(pipe: Any, z: Tensor, time: Tensor, cond: Cond, guidance: float) -> Tensor:
    factor = 2 ** (len(pipe.vae.config.block_out_channels) - 1)
    size = [factor * z.shape[2], factor * z.shape[3]]
    ids = torch.tensor([*size, 0, 0, *size], dtype=cond["pooled"].dtype, device=z.device)  # original, crop, target
    added = {"text_embeds": cond["pooled"], "time_ids": ids.expand(len(z), -1)}
    answer = pipe.unet(
        z, _step(pipe, time), encoder_hidden_states=cond["text"], added_cond_kwargs=added, return_dict=False
    )
    return answer[0]


def _encode_if(pipe: Any, texts: Sequence[str]) -> EncodedTexts:
    words, null = pipe.encode_prompt(
        list(texts), True, device=pipe._execution_device, negative_prompt=[""] * len(texts)
    )
    return {"text": words}, {"text": null[:1]}


def _encode_sd3(pipe: Any, texts: Sequence[str]) -> EncodedTexts:
    same = list(texts)
    words, null, pooled, null_pooled = pipe.encode_prompt(same, same, same, device=pipe._execution_device)
    return {"text": words, "pooled": pooled}, {"text": null[:1], "pooled": null_pooled[:1]}


def _ask_sd3(pipe: Any, z: Tensor, time: Tensor, cond: Cond, guidance: float) -> Tensor:
    answer = pipe.transformer(
        z,
        timestep=time * pipe.scheduler.config.num_train_timesteps,
        encoder_hidden_states=cond["text"],
        pooled_projections=cond["pooled"],
        return_dict=False,
    )
    return answer[0]


def _encode_flux(pipe: Any, texts: Sequence[str]) -> EncodedTexts:
    words, pooled, _ = pipe.encode_prompt([*texts, ""], None, device=pipe._execution_device)
    return {"text": words[:-1], "pooled": pooled[:-1]}, {"text": words[-1:], "pooled": pooled[-1:]}


def _ask_flux(pipe: Any, z: Tensor, time: Tensor, cond: Cond, guidance: float) -> Tensor:
    b, c, height, width = z.shape
    packed = z.reshape(b, c, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    place = torch.cartesian_prod(torch.arange(height // 2), torch.arange(width // 2)).to(z)
    config, text = pipe.transformer.config, cond["text"]
    answer = pipe.transformer(
        hidden_states=packed,
        timestep=time,
        guidance=torch.full_like(time, guidance) if config.guidance_embeds else None,
        pooled_projections=cond["pooled"],
        encoder_hidden_states=text,
        txt_ids=torch.zeros(text.shape[1], 3, dtype=z.dtype, device=z.device),
        img_ids=torch.cat([torch.zeros_like(place[:, :1]), place], 1),
        return_dict=False,
    )[0]
    return answer.reshape(b, height // 2, width // 2, c, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(b, c, height, width)


def _encode_pixart(pipe: Any, texts: Sequence[str]) -> EncodedTexts:
    words, mask, null, null_mask = pipe.encode_prompt(list(texts), True, "", device=pipe._execution_device)
    return {"text": words, "mask": mask}, {"text": null[:1], "mask": null_mask[:1]}


def _ask_pixart(pipe: Any, z: Tensor, time: Tensor, cond: Cond, guidance: float) -> Tensor:
    added: dict[str, Any] = {"resolution": None, "aspect_ratio": None}
    if getattr(pipe.transformer, "use_additional_conditions", False):
        factor = 2 ** (len(pipe.vae.config.block_out_channels) - 1)
        side = torch.tensor([factor * z.shape[2], factor * z.shape[3]], dtype=z.dtype, device=z.device)
        added = {"resolution": side.expand(len(z), -1), "aspect_ratio": (side[:1] / side[1:]).expand(len(z), -1)}
    answer = pipe.transformer(
        z,
        encoder_hidden_states=cond["text"],
        encoder_attention_mask=cond["mask"],
        timestep=_step(pipe, time),
        added_cond_kwargs=added,
        return_dict=False,
    )
    return answer[0]


FAMILIES = (
    PipelineFamily(("StableDiffusionPipeline",), "unet", "levels", True, _encode_sd, _ask_sd),
    PipelineFamily(("StableDiffusionXLPipeline",), "unet", "levels", True, _encode_sdxl, _ask_sdxl),
    PipelineFamily(("IFPipeline",), "unet", "levels", False, _encode_if, _ask_sd),
    PipelineFamily(("StableDiffusion3Pipeline",), "transformer", "flow", True, _encode_sd3, _ask_sd3, multiple=2),
    PipelineFamily(("FluxPipeline",), "transformer", "flow", True, _encode_flux, _ask_flux, multiple=2, default_side=128),
    PipelineFamily(("PixArtAlphaPipeline", "PixArtSigmaPipeline"), "transformer", "levels", True, _encode_pixart, _ask_pixart),
)
FAMILY_BY_CLASS = {name: family for family in FAMILIES for name in family.classes}
