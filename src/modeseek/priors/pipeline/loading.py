"""Loading of pipelines: their folder, its `model_index.json`, and diffusers' loader restricted to local safetensors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from modeseek.io.errors import reason
from modeseek.io.quiet import silence
from modeseek.priors.pipeline.architectures import FAMILY_BY_CLASS, PipelineFamily
from modeseek.priors.pipeline.bundled_table import BUNDLED_PRIORS, bundled_prior

TEXT_ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
UNUSED_COMPONENTS = ("safety_checker", "feature_extractor", "image_encoder", "watermarker")


def find_pipeline_folder(path: str | os.PathLike[str]) -> Path:
    """Returns the folder itself, the local copy of a hub repository, or the folder of a bundled prior by its name.

    A text "emoji" names the bundled prior; a folder of that name is "./emoji", or any `Path`.

    Raises:
        ValueError: there is no such pipeline.
    """
    named = bundled_prior(path) if isinstance(path, str) else None
    if named is not None:
        return named.folder()
    folder = Path(path)
    if folder.is_dir():
        return folder
    if os.fspath(path).count("/") != 1 or folder.is_absolute():
        raise ValueError(
            f"there is no pipeline {path}; try {' or '.join(BUNDLED_PRIORS)}, a folder written by save_pretrained, or "
            "owner/name on the hub"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        patterns = ["*.json", "*.safetensors", "*.txt", "*.model"]
        return Path(snapshot_download(os.fspath(path), allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ValueError(f"{path} is neither a local folder nor reachable on the hub: {reason(error)}") from error


def model_index(folder: Path) -> dict[str, Any]:
    """Returns the content of `model_index.json`.

    Raises:
        ValueError: the file is missing or damaged.
    """
    try:
        return read_object(folder / "model_index.json")
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} is no diffusers pipeline: model_index.json: {reason(error)}; save one") from error


def read_object(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file.

    Raises:
        ValueError: the file holds none.
        OSError: the file cannot be read.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("it holds no JSON object")
    return content


def family_of(folder: Path) -> tuple[PipelineFamily, str]:
    """Returns the family of a pipeline folder, and the class name of the pipeline in diffusers.

    Raises:
        ValueError: the class is not supported; the message lists those that are.
    """
    name = model_index(folder).get("_class_name")
    if name not in FAMILY_BY_CLASS:
        raise ValueError(f"{folder} is a {name}, which is not supported: supported are {', '.join(FAMILY_BY_CLASS)}")
    return FAMILY_BY_CLASS[name], name


def open_pipeline(folder: Path, name: str, dtype: torch.dtype, components: dict[str, Any]) -> Any:
    """Loads diffusers' pipeline on the CPU: safetensors only, no remote code, no network access.

    Args:
        folder: folder of the pipeline.
        name: class name of the pipeline in diffusers.
        dtype: dtype of the weights.
        components: replacements of components of the folder, by name; None leaves a component out.

    Raises:
        ValueError: the pipeline cannot be loaded.
    """
    import diffusers
    from safetensors import SafetensorError

    try:
        with silence("diffusers", "transformers"):
            pipe = getattr(diffusers, name).from_pretrained(
                folder, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False, **components
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, SafetensorError) as error:
        raise ValueError(f"{folder} cannot be loaded as a {name}: {reason(error)}; save it as safetensors") from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


def check_tokenizers(pipe: Any, folder: Path) -> None:
    """Checks that the tokenizers have a vocabulary: transformers builds an empty one where files are missing.

    Raises:
        ValueError: a tokenizer maps different texts to the same tokens.
    """
    for name in ("tokenizer", "tokenizer_2", "tokenizer_3"):
        tokenizer = getattr(pipe, name, None)
        if tokenizer is not None and set(tokenizer("red sun").input_ids) == set(tokenizer("big top").input_ids):
            raise ValueError(f"{folder / name} has no vocabulary: its files are missing; save the pipeline again")
