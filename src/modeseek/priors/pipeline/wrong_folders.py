"""Folders and files that are no text-to-image pipeline: what each is, in one line, and what to give instead."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from modeseek.priors.pipeline.configurations import read_object
from modeseek.priors.pipeline.weight_files import PICKLED, preview, read_header

_PIPELINES = (
    ("ControlNet", "steered by a control image"),
    ("T2IAdapter", "steered by a control image"),
    ("Inpaint", "which fills in masked images"),
    ("Fill", "which fills in masked images"),
    ("Pix2Pix", "which edits an image"),
    ("Kontext", "which edits an image"),
    ("Redux", "which varies an image"),
    ("Depth2Img", "conditioned on a depth map"),
    ("ControlPipeline", "steered by a control image"),
    ("Upscale", "which enlarges images"),
    ("SuperResolution", "which enlarges images"),
    ("LatentConsistency", "distilled to few steps"),
    ("Video", "which makes videos"),
    ("Animate", "which makes videos"),
    ("Motion", "which makes videos"),
    ("CogVideo", "which makes videos"),
    ("Wan", "which makes videos"),
    ("LTX", "which makes videos"),
    ("Mochi", "which makes videos"),
    ("Allegro", "which makes videos"),
    ("Audio", "which makes sound"),
    ("Music", "which makes sound"),
)
_SAME_PARTS = {  # classes with the components of a supported one
    "StableDiffusionImg2ImgPipeline": "StableDiffusionPipeline",
    "StableDiffusionXLImg2ImgPipeline": "StableDiffusionXLPipeline",
    "StableDiffusion3Img2ImgPipeline": "StableDiffusion3Pipeline",
    "FluxImg2ImgPipeline": "FluxPipeline",
    "IFImg2ImgPipeline": "IFPipeline",
    "StableDiffusionSAGPipeline": "StableDiffusionPipeline",
    "StableDiffusionPAGPipeline": "StableDiffusionPipeline",
    "StableDiffusionXLPAGPipeline": "StableDiffusionXLPipeline",
}
_MODELS = (
    ("ControlNet", "a ControlNet, which steers another model"),
    ("T2IAdapter", "a T2I adapter, which steers another model"),
    ("MotionAdapter", "a motion module for videos"),
    ("3D", "a network for videos"),
    ("Video", "a network for videos"),
    ("Wan", "a network for videos"),
    ("Autoencoder", "an autoencoder alone"),
    ("VQModel", "an autoencoder alone"),
    ("UNet", "a network alone"),
    ("Transformer", "a network alone"),
)
_INSTEAD = "give a folder with model_index.json, written by save_pretrained of a whole pipeline"


def unsupported_class(name: object, supported: Collection[str]) -> str:
    """Returns the end of a line on a pipeline of an unsupported class: what it is and what is supported."""
    line = f"is a {name}, which is not supported: supported are {', '.join(supported)}"
    if not isinstance(name, str):
        return f"{line}; custom pipelines are never run"
    if name in _SAME_PARTS:
        return f'{line}; its components are those of a {_SAME_PARTS[name]}: try that "_class_name" in model_index.json'
    kind = next((phrase for part, phrase in _PIPELINES if part in name), None)
    return line if kind is None else f"{line}; it is a pipeline {kind}: try the text-to-image model it was made from"


def describe_folder(folder: Path) -> str | None:
    """Returns what a folder without `model_index.json` is, the end of a line; None where that is unknown."""
    names = {path.name for path in folder.iterdir()}
    if (folder.parent / "model_index.json").is_file():
        return f"is a component of the pipeline {folder.parent}: give that folder"
    for inside in ("pipeline", "model"):  # trainers write one of these beside their logs
        if (folder / inside / "model_index.json").is_file():
            return f"holds a pipeline in {inside}: give {folder / inside}"
    if "modular_model_index.json" in names:
        return f"is a modular pipeline of diffusers, which is not supported: {_INSTEAD}"
    if "adapter_config.json" in names:
        return f"is an adapter of peft, not a pipeline: {_lora_advice(folder)}"
    if "config.json" in names:
        return _describe_config(folder)
    tensors = sorted(name for name in names if name.endswith(".safetensors"))
    if len(tensors) == 1 and (kind := describe_tensors(read_header(folder / tensors[0]))) is not None:
        return f"holds {tensors[0]}, {kind}"
    if "optimizer.bin" in names or "random_states_0.pkl" in names:
        return f"is a checkpoint of a training, which has no model_index.json: {_INSTEAD}"
    if tensors:
        return f"holds single files ({preview(tensors)}), no pipeline: give the path of one of them"
    pickled = sorted(name for name in names if name.endswith(PICKLED))
    return f"holds pickled weights ({preview(pickled)}), which are never read: {_INSTEAD}" if pickled else None


def describe_tensors(keys: Collection[str]) -> str | None:
    """Returns what a safetensors file other than a complete checkpoint is, by the names of its tensors, and advice."""
    if any("lora" in key or "hada_" in key or "lokr_" in key or "oft_" in key for key in keys):
        return "a LoRA, not a pipeline: give its base model as the prior and this one with --lora"
    if set(keys) & {"emb_params", "clip_l", "clip_g"} or (len(keys) == 1 and not any("." in key for key in keys)):
        return "a textual inversion, not a pipeline: give its base model as the prior"
    if any(key.startswith(("control_model.", "controlnet_")) or "controlnet_" in key for key in keys):
        return "a ControlNet, which steers another model and is no text-to-image model by itself"
    if any("motion_modules" in key for key in keys):
        return "a motion module for videos, no text-to-image model"
    if any(key.startswith("decoder.up") for key in keys) and any(key.startswith("encoder.") for key in keys):
        return f"an autoencoder alone: {_INSTEAD}"
    if "conv_in.weight" in keys and any(key.startswith("down_blocks.") for key in keys):
        return f"a lone network, the UNet of a pipeline of diffusers: {_INSTEAD}"
    if any(key.startswith(("transformer_blocks.", "single_transformer_blocks.")) for key in keys):
        return f"a lone network, the transformer of a pipeline of diffusers: {_INSTEAD}"
    if any(key.startswith(("text_model.", "encoder.block.", "shared.")) for key in keys):
        return f"a text encoder alone: {_INSTEAD}"
    return None


def _describe_config(folder: Path) -> str | None:
    try:
        config = read_object(folder / "config.json")
    except (OSError, ValueError):
        return None  # the line on the missing model_index.json follows
    kind = config.get("_class_name")
    if isinstance(kind, str):
        what = next((phrase for part, phrase in _MODELS if part in kind), "a component alone")
        return f"is a {kind} of diffusers, {what}: {_INSTEAD}"
    named = config.get("architectures")
    if isinstance(named, list) and named:
        return f"is a {named[0]} of transformers, not a pipeline: {_INSTEAD}"
    if "model_type" in config:
        return f"is a model of transformers ({config['model_type']}), not a pipeline: {_INSTEAD}"
    return None


def _lora_advice(folder: Path) -> str:
    return f"give its base model as the prior and {folder} with --lora where it is a LoRA"
