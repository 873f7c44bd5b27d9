"""A pipeline's folder: where it lies, what its `model_index.json` says, and diffusers' own loader, kept strict."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from modeseek.io.packaged import packaged_weights
from modeseek.priors.pipeline.architectures import FAMILY_BY_CLASS, PipelineFamily

BUNDLED = "bundled"  # the pipeline that ships with modeseek
TEXT_ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
UNUSED_COMPONENTS = ("safety_checker", "feature_extractor", "image_encoder", "watermarker")


def find_pipeline_folder(path: str | os.PathLike[str]) -> Path:
    """The folder itself, where the hub's copy was put, or for "bundled" what ships with modeseek.

    Raises:
        ValueError: there is none; one line.
    """
    if os.fspath(path) == BUNDLED:
        return packaged_weights("scenes")
    folder = Path(path)
    if folder.is_dir():
        return folder
    if os.fspath(path).count("/") != 1 or folder.is_absolute():
        raise ValueError(
            f"there is no pipeline {path}: name a folder that save_pretrained wrote, or owner/name on the hub"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        kept = ["*.json", "*.safetensors", "*.txt", "*.model"]
        return Path(snapshot_download(os.fspath(path), allow_patterns=kept))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ValueError(f"{path} is neither a folder here nor reachable on the hub: {reason}") from error


def model_index(folder: Path) -> dict[str, Any]:
    """What `model_index.json` says.

    Raises:
        ValueError: there is none, or it is damaged; one line.
    """
    try:
        told = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise ValueError("it holds no table")
        return told
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:120]
        raise ValueError(f"{folder} is no diffusers pipeline: model_index.json: {reason}; save one there") from error


def family_of(folder: Path) -> tuple[PipelineFamily, str]:
    """The architecture, and diffusers' name of its pipeline.

    Raises:
        ValueError: one that is not known here; one line with those that are.
    """
    name = model_index(folder).get("_class_name")
    if name not in FAMILY_BY_CLASS:
        raise ValueError(
            f"{folder} is a {name}, which is not known here: known are {', '.join(FAMILY_BY_CLASS)}; use one of them"
        )
    return FAMILY_BY_CLASS[name], name


def open_pipeline(folder: Path, name: str, dtype: torch.dtype, components: dict[str, Any]) -> Any:
    """diffusers' pipeline in memory, on the CPU: safetensors only, no remote code, no network.

    Args:
        folder: that holds it.
        name: of the pipeline's class.
        dtype: of its numbers.
        parts: components given instead of those in the folder; None leaves one out.

    Raises:
        ValueError: it cannot be loaded; one line.
    """
    import diffusers
    from safetensors import SafetensorError

    try:
        with silence_libraries():
            pipe = getattr(diffusers, name).from_pretrained(
                folder, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False, **components
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:240]
        raise ValueError(f"{folder} cannot be loaded as a {name}: {reason}; save it again with safetensors") from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


def check_tokenizers(pipe: Any, folder: Path) -> None:
    """transformers builds an empty tokenizer where its files are missing, to which all texts are one.

    Raises:
        ValueError: one knows no words.
    """
    for name in ("tokenizer", "tokenizer_2", "tokenizer_3"):
        tokenizer = getattr(pipe, name, None)
        if tokenizer is not None and set(tokenizer("red sun").input_ids) == set(tokenizer("big top").input_ids):
            raise ValueError(f"{folder / name} knows no words: its files are missing; save the pipeline again")


@contextmanager
def silence_libraries() -> Generator[None]:
    """No progress bars of the libraries below, nor what they say of processors that are not used: callers tell."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    switches = [logs for logs in (of_diffusers, of_transformers) if logs.is_progress_bar_enabled()]
    for logs in switches:
        logs.disable_progress_bar()
    loudness = [(logs, logs.get_verbosity()) for logs in (of_diffusers, of_transformers)]
    for logs, _ in loudness:
        logs.set_verbosity_error()
    try:
        yield
    finally:
        for logs, before in loudness:
            logs.set_verbosity(before)
        for logs in switches:
            logs.enable_progress_bar()
