"""Folders of the small model: pipelines in Stable Diffusion's format, and single components."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from modeseek.io.errors import reason
from modeseek.io.quiet import silence
from modeseek.priors.pipeline.vocabulary import FILE as WORDS
from tools.bundled_priors.model import ModelParts, SmallModelConfig, build_model, scheduler

FOLDERS = ("scheduler", "text_encoder", "tokenizer", "unet", "vae")
UNET_WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
_MODULES = ("text_encoder", "vae", "unet")
_SETTINGS = {"text_encoder": ("hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings")}


def write_pipeline(folder: Path, parts: ModelParts, dtype: torch.dtype = torch.float16) -> None:
    """Writes a folder for `StableDiffusionPipeline.from_pretrained` and `Pipeline.load`, which load it as float32."""
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

    with silence("diffusers", "transformers"):
        modules: dict[str, Any] = {
            name: copy.deepcopy(getattr(parts, name)).to("cpu", dtype).eval() for name in _MODULES
        }
    pipe = StableDiffusionPipeline(
        **modules,
        tokenizer=parts.tokenizer,
        scheduler=scheduler(),
        safety_checker=None,  # pyright: ignore[reportArgumentType]
        feature_extractor=None,  # pyright: ignore[reportArgumentType]
        requires_safety_checker=False,
    )
    with silence("diffusers", "transformers"):
        pipe.save_pretrained(folder, safe_serialization=True)
    clean_configs(folder)


def clean_configs(folder: Path) -> None:
    """Removes paths of this machine from a pipeline's configuration, and lets its text be encoded in float32."""
    for path in folder.glob("*/config.json"):
        text = path.read_text(encoding="utf-8")
        settings = json.loads(text)
        settings.pop("_name_or_path", None)  # source path of a component: a path on this machine
        if path.parent.name == "text_encoder":
            settings["dtype"] = "float32"  # otherwise text would be encoded in half precision beside a float32 network
        if settings != json.loads(text):
            path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def copy_pipeline(source: Path, target: Path) -> None:
    """Copies the files of a pipeline, byte for byte, and nothing else of its folder."""
    shutil.copyfile(source / "model_index.json", target / "model_index.json")
    for name in FOLDERS:
        shutil.copytree(source / name, target / name)
    if (source / WORDS).is_file():
        shutil.copyfile(source / WORDS, target / WORDS)


def write_continued(folder: Path, start: Path, parts: ModelParts) -> None:
    """Writes the pipeline `start` with another denoiser; all other files are copied byte for byte."""
    from safetensors.torch import save_file

    copy_pipeline(start, folder)
    weights = parts.unet.state_dict().items()
    half = {name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in weights}
    save_file(half, folder / UNET_WEIGHTS, metadata={"format": "pt"})


def read_pipeline(folder: Path) -> tuple[ModelParts, Any]:
    """Reads a pipeline's components in float32, and its scheduler.

    Raises:
        ValueError: the folder holds no complete pipeline of this format.
    """
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    from safetensors import SafetensorError
    from transformers import CLIPTextModel, CLIPTokenizer

    classes: dict[str, Any] = {
        "tokenizer": CLIPTokenizer,
        "text_encoder": CLIPTextModel,
        "vae": AutoencoderTiny,
        "unet": UNet2DConditionModel,
    }
    try:
        with silence("diffusers", "transformers"):
            parts = {name: kind.from_pretrained(folder / name) for name, kind in classes.items()}
            noise: Any = DDIMScheduler.from_pretrained(folder / "scheduler")
            modules = {name: part.float() for name, part in parts.items() if name != "tokenizer"}
    except (OSError, SafetensorError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise ValueError(
            f"{folder} must hold a complete pipeline: {reason(error)}; try the path of another one"
        ) from error
    return ModelParts(parts["tokenizer"], modules["text_encoder"], modules["vae"], modules["unet"]), noise


def read_like(folder: Path, config: SmallModelConfig) -> ModelParts:
    """Reads a pipeline of a given configuration, except for its vocabulary.

    Raises:
        ValueError: the folder holds no complete pipeline, or one of another shape.
    """
    parts, noise = read_pipeline(folder)
    expected = build_model(config, folder / "tokenizer", 0)
    pairs: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
        ("unet", parts.unet.config, expected.unet.config),
        ("vae", parts.vae.config, expected.vae.config),
        ("text_encoder", parts.text_encoder.config.to_dict(), expected.text_encoder.config.to_dict()),
        ("scheduler", noise.config, scheduler().config),
    ]
    for name, actual, wanted in pairs:
        for key in _SETTINGS.get(name, sorted(k for k in wanted if not k.startswith("_"))):
            if _plain(actual.get(key)) != _plain(wanted[key]):
                raise ValueError(
                    f"{folder.name} must be of the trained shape: {key} of its {name} must be {_plain(wanted[key])}, "
                    f"got {_plain(actual.get(key))}; try a pipeline of the same prior"
                )
    return parts


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def write_part(folder: Path, part: Any) -> None:
    """Writes an autoencoder or a text encoder in full precision."""
    with silence("diffusers", "transformers"):
        part.save_pretrained(folder, safe_serialization=True)


def read_part(folder: Path, kind: Literal["text_encoder", "vae"]) -> Any:
    """Reads an autoencoder or a text encoder written by `write_part`.

    Raises:
        ValueError: the folder is damaged.
    """
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
    from safetensors import SafetensorError
    from transformers import CLIPTextModel

    try:
        with silence("diffusers", "transformers"):
            return (AutoencoderTiny if kind == "vae" else CLIPTextModel).from_pretrained(folder)
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise ValueError(f"{folder} must hold a complete {kind}: {reason(error)}; train into a new folder") from error
