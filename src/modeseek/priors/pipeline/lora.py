"""LoRA weights of a pipeline (LoRA, DreamBooth LoRA), read and merged by diffusers' own loaders.

Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang, Chen 2021, arXiv 2106.09685: W' = W + scale alpha / r B A.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeseek.io.atomic import write_synced
from modeseek.io.errors import reason
from modeseek.io.quiet import silence
from modeseek.priors.pipeline.loading import TEXT_ENCODERS

_NAME = "modeseek"
_TEXT_ENCODER_PREFIXES = ("text_encoder", "lora_te")  # prefixes of text-encoder keys in diffusers' and kohya's files


@dataclass(frozen=True)
class LoRA:
    """LoRA file to merge into a pipeline.

    Attributes:
        path: path of a .safetensors file, or of a folder that holds exactly one.
        scale: multiplier of the low-rank update; 1 applies it fully.
    """

    path: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not abs(self.scale) < float("inf"):
            raise ValueError(f"a LoRA's scale must be finite, got {self.scale}; try 1")

    def file(self) -> Path:
        """Returns the path of the .safetensors file.

        Raises:
            ValueError: there is no such file, or several; pickled files are never read.
        """
        path = Path(self.path)
        files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
        if len(files) != 1 or files[0].suffix != ".safetensors" or not files[0].is_file():
            problem = f"{len(files)} of them in a folder" if path.is_dir() else "no such file"
            raise ValueError(
                f"a LoRA must be one .safetensors file, got {self.path} ({problem}); try the path of the file"
            )
        return files[0]


def merge_into_network(pipe: Any, network: Any, lora: LoRA) -> None:
    """Merges the network's part of a LoRA into its weights; no adapter remains.

    Raises:
        ValueError: the file cannot be read, or fits no layer of this network.
    """
    keys = _keys(lora)
    if not any(_is_network(key) for key in keys):
        if not any(key.startswith(_TEXT_ENCODER_PREFIXES) for key in keys):
            raise ValueError(f"{lora.path} holds no LoRA: its tensors are named {_preview(keys)}; try another file")
        return  # text encoders only: `merge_into_text_encoders` merges it
    if not hasattr(pipe, "load_lora_weights"):
        raise ValueError(f"diffusers has no LoRA loader for {type(pipe).__name__}: got {lora.path}; leave it out")
    with tempfile.TemporaryDirectory(prefix="modeseek-lora-") as folder, silence("diffusers", "transformers"):
        part = _save_network_part(lora, Path(folder))
        try:
            pipe.load_lora_weights(part, adapter_name=_NAME, use_safetensors=True, local_files_only=True)
        except (ValueError, RuntimeError, KeyError, OSError, TypeError, NotImplementedError) as error:
            raise _unfit(lora, type(network).__name__, error) from error
        if not getattr(network, "peft_config", None):
            raise _unfit(lora, type(network).__name__, None)
        network.fuse_lora(lora_scale=lora.scale, safe_fusing=True)
        network.unload_lora()


def merge_into_text_encoders(pipe: Any, lora: LoRA) -> None:
    """Merges a LoRA's part of the text encoders into their weights, where it has one.

    Raises:
        ValueError: the file cannot be read or fits no text encoder.
    """
    if not any(key.startswith(_TEXT_ENCODER_PREFIXES) for key in _keys(lora)):
        return
    with silence("diffusers", "transformers"):
        try:
            state, *rest = pipe.lora_state_dict(
                str(lora.file()), use_safetensors=True, local_files_only=True, return_lora_metadata=True,
                return_alphas=True,
            )  # fmt: skip
            merged = []
            for name in TEXT_ENCODERS:
                weights = {key: value for key, value in state.items() if key.startswith(f"{name}.")}
                if weights and getattr(pipe, name, None) is not None:
                    pipe.load_lora_into_text_encoder(
                        weights, network_alphas=rest[0] if len(rest) == 2 else None, prefix=name, adapter_name=_NAME,
                        text_encoder=getattr(pipe, name), metadata=rest[-1],
                    )  # fmt: skip
                    merged.append(name)
            if not merged:
                raise _unfit(lora, "text encoder", None)
            pipe.fuse_lora(components=merged, lora_scale=lora.scale, safe_fusing=True)
            pipe.unload_lora_weights()
        except (RuntimeError, KeyError, OSError, TypeError) as error:
            raise _unfit(lora, "text encoder", error) from error


def text_encoder_identity(encoders: str, loras: Sequence[LoRA]) -> str:
    """Returns an identifier of text encoders with LoRA: their own, and the hash of every LoRA that changes them."""
    parts = [encoders]
    for lora in loras:
        if any(key.startswith(_TEXT_ENCODER_PREFIXES) for key in _keys(lora)):
            with lora.file().open("rb") as file:
                parts.append(f"{lora.scale!r}:{hashlib.file_digest(file, 'sha256').hexdigest()}")
    return "|".join(parts)


def _is_network(key: str) -> bool:
    return not key.startswith(_TEXT_ENCODER_PREFIXES) and "lora" in key


def _keys(lora: LoRA) -> list[str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(lora.file(), "pt") as handle:
            return list(handle.keys())
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{lora.path} is no safetensors file: {reason(error)}") from error


def _save_network_part(lora: LoRA, folder: Path) -> str:
    """Writes the network's keys to a file of their own, as loaders need text encoders where keys name them."""
    from safetensors import safe_open
    from safetensors.torch import save

    with safe_open(lora.file(), "pt") as handle:
        tensors = {key: handle.get_tensor(key) for key in handle.keys() if not key.startswith(_TEXT_ENCODER_PREFIXES)}
        write_synced(folder / "part.safetensors", save(tensors, metadata=handle.metadata() or {}))
    return str(folder / "part.safetensors")


def _unfit(lora: LoRA, kind: str, error: Exception | None) -> ValueError:
    problem = "no key is one of its layers" if error is None else reason(error)
    return ValueError(f"{lora.path} does not fit this pipeline's {kind}: {problem}; use one trained for it")


def _preview(keys: list[str]) -> str:
    return ", ".join(keys[:2])[:120] + (" ..." if len(keys) > 2 else "") if keys else "nothing"
