"""Single-file checkpoints: what a file is, where its configurations lie, and which tensors are of which component."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NoReturn

from modeseek.priors.pipeline.configurations import component_class, model_index
from modeseek.priors.pipeline.weight_files import PICKLED, TensorInfo, read_header
from modeseek.priors.pipeline.wrong_folders import describe_tensors
from modeseek.priors.pipeline.wrong_parts import describe_channels

_NETWORK = "model.diffusion_model."
_FAMILIES = (  # beginnings of names of tensors, and the pipeline of diffusers that has them
    ("distilled_guidance_layer.", "ChromaPipeline"),
    ("double_blocks.", "FluxPipeline"),
    ("joint_blocks.", "StableDiffusion3Pipeline"),
    ("conditioner.embedders.1.", "StableDiffusionXLPipeline"),
    ("conditioner.embedders.0.model.", "the SDXL refiner"),
    ("cond_stage_model.", "StableDiffusionPipeline"),
    ("label_emb.", "StableDiffusionXLPipeline"),  # the network alone
    ("input_blocks.", "StableDiffusionPipeline"),
)
_BARE = ("double_blocks.", "joint_blocks.", "input_blocks.")  # networks that are also shipped alone, without the prefix
_AUTOENCODER = ("first_stage_model.", "vae.")
TEXT_ENCODER_PREFIXES = {
    "text_encoder": ("cond_stage_model.", "conditioner.embedders.0.", "text_encoders.clip_l."),
    "text_encoder_2": ("conditioner.embedders.1.", "text_encoders.clip_g."),
    "text_encoder_3": ("text_encoders.t5xxl.",),
}


def find_configurations(file: Path, config: str | os.PathLike[str] | None) -> Path:
    """Returns the folder of configurations for a single-file checkpoint: `config`, or the one beside it.

    Beside "models/x.safetensors" is the folder "models/x", or "models" itself where it is a pipeline's folder. It needs
    `model_index.json`, the scheduler, the tokenizers and each component's `config.json`; weights are optional.

    Raises:
        ValueError: the file is no complete checkpoint, or there is no such folder; the line says what to do.
    """
    keys = read_checkpoint(file)
    kind = checkpoint_class(keys)
    if kind is None:
        what = describe_tensors(keys) or "no checkpoint that is known: give a folder written by save_pretrained"
        raise ValueError(f"{file} is a file that holds {what}")
    beside = [file.with_suffix(""), file.parent] if config is None else [Path(config)]
    _check_channels(file, keys)
    folder = next((path for path in beside if (path / "model_index.json").is_file()), None)
    if folder is None:
        _refuse_without_configurations(file, kind, config)
    found = model_index(folder).get("_class_name")
    if found != kind:
        raise ValueError(f"{file} is a file of {kind}, but its configurations in {folder} are of a {found}; try others")
    return folder


def checkpoint_class(keys: Collection[str]) -> str | None:
    """Returns the pipeline class of a single-file checkpoint, by the names of its tensors; None if it is none."""
    if not any(key.startswith((_NETWORK, *_BARE)) for key in keys):
        return None
    bare = {key.removeprefix(_NETWORK) for key in keys}
    return next((kind for start, kind in _FAMILIES if any(key.startswith(start) for key in bare)), None)


def component_tensors(file: Path, folder: Path, name: str) -> dict[str, TensorInfo]:
    """Returns dtype and shape of the tensors of one component of a single-file checkpoint; none where it lacks it."""
    keys = read_checkpoint(file)
    if name in ("unet", "transformer"):
        starts: tuple[str, ...] = (_NETWORK,)
        if not any(key.startswith(starts) for key in keys):
            others = tuple(start for starts in (_AUTOENCODER, *TEXT_ENCODER_PREFIXES.values()) for start in starts)
            return {key: info for key, info in keys.items() if not key.startswith(others)}
    elif name == "vae":
        starts = _AUTOENCODER
    else:
        starts = TEXT_ENCODER_PREFIXES[name]
        found = component_class(folder, name)
        if found is not None and found[1] == "T5EncoderModel":
            starts = TEXT_ENCODER_PREFIXES["text_encoder_3"]
    return {key: info for key, info in keys.items() if key.startswith(starts)}


def read_checkpoint(file: Path) -> dict[str, TensorInfo]:
    """Returns dtype and shape of every tensor of a checkpoint, from its header.

    Raises:
        ValueError: a file of another kind (pickled, GGUF ...), or a damaged one.
    """
    if file.suffix in PICKLED:
        raise ValueError(
            f"{file} is a file of pickled weights, which are never read: load it with diffusers' from_single_file "
            "where you trust it, and save_pretrained(..., safe_serialization=True)"
        )
    if file.suffix == ".gguf":
        raise ValueError(f"{file} is a file of quantised weights (GGUF), not supported: try the unquantised model")
    if file.suffix != ".safetensors":
        raise ValueError(f"{file} is a file, not a pipeline: give a folder written by save_pretrained")
    return read_header(file)


def _check_channels(file: Path, keys: Mapping[str, TensorInfo]) -> None:
    for name, own, flux in (("input_blocks.0.0.weight", 4, False), ("img_in.weight", 64, True)):
        _, shape = keys.get(f"{_NETWORK}{name}", keys.get(name, ("", (0, own))))
        if shape[1] != own:
            what = describe_channels(shape[1], own, flux=flux)
            raise ValueError(
                f"{file} is a file whose network takes {shape[1]} input channels, not {own}: it is {what}, not a "
                "text-to-image network; try the model that it was made from"
            )


def _refuse_without_configurations(file: Path, kind: str, config: str | os.PathLike[str] | None) -> NoReturn:
    import diffusers

    if not hasattr(diffusers, kind):
        raise ValueError(f"{file} is a file of {kind}, which is not supported: try the base model")
    where = f"{file.with_suffix('')} beside it has none" if config is None else f"{config} has no model_index.json"
    raise ValueError(
        f"{file} is a complete {kind} without its configurations ({where}): give the folder of its base model, "
        f'with prior.pipeline.config or there, or convert it: python -c "import diffusers; diffusers.{kind}'
        f'.from_single_file({str(file)!r}).save_pretrained({str(file.with_suffix(""))!r})"'
    )
