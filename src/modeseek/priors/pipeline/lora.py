"""Low-rank changes of a pipeline's weights (LoRA, DreamBooth LoRA), read and merged by diffusers' own loaders.

Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang, Chen 2021, arXiv 2106.09685: W' = W + scale alpha / r B A.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeseek.priors.pipeline.loading import TEXT_ENCODERS, silence_libraries

_NAME = "modeseek"
_TEXT_ENCODER_PREFIXES = ("text_encoder", "lora_te")  # how keys of text encoders begin in diffusers' and in kohya's files


@dataclass(frozen=True)
class LoRA:
    """A file of low-rank changes.

    Attributes:
        path: a .safetensors file, or a folder that holds exactly one.
        scale: how much of the change; 1 is all of it.
    """

    path: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not abs(self.scale) < float("inf"):
            raise ValueError(f"a LoRA's scale is finite: got {self.scale}; 1 is all of it")

    def file(self) -> Path:
        """The file.

        Raises:
            ValueError: there is none, or several; pickled ones are never read.
        """
        place = Path(self.path)
        found = sorted(place.glob("*.safetensors")) if place.is_dir() else [place]
        if len(found) != 1 or found[0].suffix != ".safetensors" or not found[0].is_file():
            told = f"{len(found)} of them in a folder" if place.is_dir() else "no such file"
            raise ValueError(f"a LoRA is one .safetensors file: got {self.path} ({told}); name the file")
        return found[0]


def merge_into_network(pipe: Any, network: Any, lora: LoRA) -> None:
    """Merges the network's part of a LoRA into it; no adapter stays behind.

    Raises:
        ValueError: the file cannot be read, or changes nothing of this network; one line.
    """
    keys = _keys(lora)
    if not any(_is_network(key) for key in keys):
        if not any(key.startswith(_TEXT_ENCODER_PREFIXES) for key in keys):
            raise ValueError(f"{lora.path} holds no LoRA: its numbers are called {_some(keys)}; name another file")
        return  # text encoders only: `into_words` merges it
    if not hasattr(pipe, "load_lora_weights"):
        raise ValueError(f"diffusers has no LoRA loader for {type(pipe).__name__}: got {lora.path}; leave it out")
    with tempfile.TemporaryDirectory(prefix="modeseek-lora-") as folder, silence_libraries():
        part = _part(lora, Path(folder))
        try:
            pipe.load_lora_weights(part, adapter_name=_NAME, use_safetensors=True, local_files_only=True)
        except (ValueError, RuntimeError, KeyError, OSError, TypeError, NotImplementedError) as error:
            raise _unfit(lora, type(network).__name__, error) from error
        if not getattr(network, "peft_config", None):
            raise _unfit(lora, type(network).__name__, None)
        network.fuse_lora(lora_scale=lora.scale, safe_fusing=True)
        network.unload_lora()


def merge_into_text_encoders(pipe: Any, lora: LoRA) -> None:
    """Merges a LoRA's parts for text encoders, where it has some.

    Raises:
        ValueError: the file cannot be read or does not fit; one line.
    """
    if not any(key.startswith(_TEXT_ENCODER_PREFIXES) for key in _keys(lora)):
        return
    with silence_libraries():
        try:
            state, *rest = pipe.lora_state_dict(
                str(lora.file()), use_safetensors=True, local_files_only=True, return_lora_metadata=True,
                return_alphas=True,
            )  # fmt: skip
            merged = []
            for name in TEXT_ENCODERS:
                own = {key: value for key, value in state.items() if key.startswith(f"{name}.")}
                if own and getattr(pipe, name, None) is not None:
                    pipe.load_lora_into_text_encoder(
                        own, network_alphas=rest[0] if len(rest) == 2 else None, prefix=name, adapter_name=_NAME,
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
    """What tells these text encoders from any others: theirs, and every LoRA that changes them."""
    told = [encoders]
    for lora in loras:
        if any(key.startswith(_TEXT_ENCODER_PREFIXES) for key in _keys(lora)):
            with lora.file().open("rb") as file:
                told.append(f"{lora.scale!r}:{hashlib.file_digest(file, 'sha256').hexdigest()}")
    return "|".join(told)


def _is_network(key: str) -> bool:
    return not key.startswith(_TEXT_ENCODER_PREFIXES) and "lora" in key


def _keys(lora: LoRA) -> list[str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(lora.file(), "pt") as held:
            return list(held.keys())
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{lora.path} is no safetensors file: {' '.join(str(error).split())[:120]}") from error


def _part(lora: LoRA, folder: Path) -> str:
    """The network's keys alone, in a file of their own: loaders reach for text encoders where they see theirs."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(lora.file(), "pt") as held:
        kept = {key: held.get_tensor(key) for key in held.keys() if not key.startswith(_TEXT_ENCODER_PREFIXES)}  # noqa: SIM118
        save_file(kept, folder / "part.safetensors", metadata=held.metadata() or {})
    return str(folder / "part.safetensors")


def _unfit(lora: LoRA, kind: str, error: Exception | None) -> ValueError:
    reason = "no key is one of its layers" if error is None else " ".join(str(error).split())[:200]
    return ValueError(f"{lora.path} does not fit this pipeline's {kind}: {reason}; use one trained for it")


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:2])[:120] + (" ..." if len(keys) > 2 else "") if keys else "nothing"
