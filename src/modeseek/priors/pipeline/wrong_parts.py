"""Checks of a pipeline's components by their configurations: other kinds of networks, and parts of different models."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeseek.io.quiet import silence
from modeseek.priors.pipeline.configurations import component_class, model_index, read_config
from modeseek.priors.pipeline.tokenizers import TEXT_ENCODERS, TOKENIZERS

_NETWORKS = {
    "StableDiffusion3Pipeline": ("SD3Transformer2DModel",),
    "FluxPipeline": ("FluxTransformer2DModel",),
    "PixArtAlphaPipeline": ("PixArtTransformer2DModel", "Transformer2DModel"),
    "PixArtSigmaPipeline": ("PixArtTransformer2DModel", "Transformer2DModel"),
}
_FLUX_TIMES = {  # input channels of a Flux transformer over those of its latent
    6: "Flux Fill, which takes a mask and an image",
    2: "Flux Control, which takes a control image",
}
_HIDDEN = ("d_model", "hidden_size")  # width of a text encoder's outputs: T5, CLIP
_UNET = ("UNet2DConditionModel",)
_NULLABLE = {"StableDiffusion3Pipeline": ("text_encoder_3", "tokenizer_3")}  # stock diffusers takes zeros instead
_CHANNELS = {  # of a UNet beyond those of its latent
    5: "an inpainting network, which takes a mask and an image",
    4: "an image-editing network such as InstructPix2Pix, or one conditioned on an image",
    3: "an upscaling network, which takes a small image",
    1: "a depth-conditioned network, which takes a depth map",
}
_WIDTHS: dict[str, tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]] = {
    # field of the network, text encoders whose widths add up to it, and the fields of these widths
    "StableDiffusionPipeline": (("cross_attention_dim", ("text_encoder",), _HIDDEN),),
    "StableDiffusionXLPipeline": (("cross_attention_dim", ("text_encoder", "text_encoder_2"), _HIDDEN),),
    "StableDiffusion3Pipeline": (
        ("joint_attention_dim", ("text_encoder_3",), _HIDDEN),
        ("pooled_projection_dim", ("text_encoder", "text_encoder_2"), ("projection_dim",)),
    ),
    "FluxPipeline": (
        ("joint_attention_dim", ("text_encoder_2",), _HIDDEN),
        ("pooled_projection_dim", ("text_encoder",), _HIDDEN),
    ),
    "IFPipeline": (("encoder_hid_dim", ("text_encoder",), _HIDDEN),),
    "PixArtAlphaPipeline": (("caption_channels", ("text_encoder",), _HIDDEN),),
    "PixArtSigmaPipeline": (("caption_channels", ("text_encoder",), _HIDDEN),),
}
_BASE = "try the text-to-image model that it was made from"


def check_components(folder: Path, kind: str, network: str) -> None:
    """Checks a pipeline's components by their configurations alone; no weights are read.

    Args:
        folder: folder of the pipeline.
        kind: class name of the pipeline.
        network: component that predicts: unet or transformer.

    Raises:
        ValueError: a missing or null component, a quantised one, a network of another kind (inpainting, depth,
            upscaling, video ...), or components of different models.
    """
    index = model_index(folder)
    _check_present(folder, kind, index)
    named = [name for name in (network, "vae", *TEXT_ENCODERS) if component_class(folder, name) is not None]
    configs = {name: read_config(folder / name) for name in named}
    for name, config in configs.items():
        _check_unquantised(folder / name, config)
    _check_class(folder, network, _NETWORKS.get(kind, _UNET))
    _check_network(folder / network, configs[network], configs.get("vae"), kind)
    _check_widths(folder / network, configs, network, kind)


def describe_channels(channels: int, expected: int, *, flux: bool) -> str:
    """Returns what a network with other input channels than its latent is."""
    other = "a network for other inputs, or one of another autoencoder"
    return _FLUX_TIMES.get(channels // expected, other) if flux else _CHANNELS.get(channels - expected, other)


def nullable_components(kind: str) -> tuple[str, ...]:
    """Returns the components that may be null: stock diffusers then takes zeros for their texts."""
    return _NULLABLE.get(kind, ())


def _check_present(folder: Path, kind: str, index: Mapping[str, Any]) -> None:
    import diffusers

    with silence("diffusers", "transformers"):  # the class is imported here
        accepted = inspect.signature(getattr(diffusers, kind).__init__).parameters
    needed = ("unet", "transformer", "vae", "scheduler", *TOKENIZERS, *TEXT_ENCODERS)
    missing = [
        name
        for name in needed
        if name in accepted and name not in nullable_components(kind) and component_class(folder, name) is None
    ]
    halves = [pair for pair in TOKENIZERS.items() if len({component_class(folder, name) is None for name in pair}) > 1]
    if kind == "StableDiffusionXLPipeline" and "text_encoder" in missing:
        raise ValueError(
            f"{folder} is an SDXL without its first text encoder (null in model_index.json), such as the refiner, "
            "which only finishes images of the base model: try the base model"
        )
    if missing or halves:
        absent = ", ".join(
            missing or [name for pair in halves for name in pair if component_class(folder, name) is None]
        )
        raise ValueError(
            f"{folder} lacks {absent}: null or not named in model_index.json; save the whole pipeline again"
        )


def _check_unquantised(folder: Path, config: Mapping[str, Any]) -> None:
    settings = config.get("quantization_config")
    if settings is not None:
        method = settings.get("quant_method", "unknown method") if isinstance(settings, dict) else settings
        raise ValueError(
            f"{folder} is quantised ({method}), which is not supported, as gradients and predictions would be rounded: "
            "try the unquantised model in bfloat16, with prior.pipeline.economy.offload=blocks where memory is short"
        )


def _check_class(folder: Path, name: str, supported: tuple[str, ...]) -> None:
    found = component_class(folder, name)
    written = read_config(folder / name).get("_class_name")
    kind = found[1] if found is not None and found[1] not in supported else written
    if kind is not None and kind not in supported:
        raise ValueError(f"{folder / name} is a {kind}: expected {' or '.join(supported)}; {_BASE}")


def _check_network(folder: Path, config: Mapping[str, Any], vae: Mapping[str, Any] | None, kind: str) -> None:
    own = 3 if vae is None else vae.get("latent_channels", 4)
    expected = 4 * own if kind == "FluxPipeline" else own  # Flux packs 2 x 2 latents into a token
    channels = config.get("in_channels", expected)
    if channels != expected:
        what = describe_channels(channels, expected, flux=kind == "FluxPipeline")
        raise ValueError(
            f"{folder} takes {channels} input channels where z has {expected}: it is {what}, not a text-to-image "
            f"network; {_BASE}"
        )


def _check_widths(folder: Path, configs: Mapping[str, Mapping[str, Any]], network: str, kind: str) -> None:
    for field, encoders, fields in _WIDTHS[kind]:
        expected = configs[network].get(field)
        widths = [
            next((configs[name][key] for key in fields if key in configs[name]), None)
            for name in encoders
            if name in configs
        ]
        known = [width for width in widths if isinstance(width, int)]
        if isinstance(expected, int) and known and len(known) == len(widths) and sum(known) != expected:
            raise ValueError(
                f"{folder} takes texts of width {expected} ({field}), but {' and '.join(encoders)} give {sum(known)}: "
                "they are of different models; copy all components from one"
            )
