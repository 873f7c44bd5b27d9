"""LoRA files: their layers in the formats of kohya, peft, diffusers and OneTrainer, with each update fully scaled."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from modeseek.io.checksums import sha256_of
from modeseek.io.errors import reason

# Name of a layer, name of a factor: "lora_unet_x.lora_down.weight", "unet.x.lora_A.default.weight",
# "x.processor.to_q_lora.down.weight", "text_encoder.x.q_proj.lora_linear_layer.up.weight".
_FACTOR = re.compile(
    r"(?P<layer>.+?)[._](?P<factor>lora_down|lora_up|lora_A|lora_B|lora\.down|lora\.up|lora_linear_layer\.down"
    r"|lora_linear_layer\.up)(\.default(_0)?)?\.(?P<kind>weight|bias)"
)
_DOWN = ("lora_down", "lora_A", "lora.down", "lora_linear_layer.down")
# Endings of the tensors of other kinds of adapters: what they are called, and their names in files.
_OTHER_KINDS = {
    "DoRA (a LoRA with magnitudes)": ("dora_scale", "lora_magnitude_vector"),
    "LoHa (Hadamard products)": ("hada_w",),
    "LoKr (Kronecker products)": ("lokr_w", "lokr_t"),
    "OFT (orthogonal fine-tuning)": ("oft_",),
    "GLoRA": (".a1.weight", ".b1.weight"),
    "LoCon in Tucker form": ("lora_mid",),
    "an IA3 adapter": (".on_input",),
    "a ControlLoRA": ("lora_controlnet",),
    "an IP-Adapter": ("image_proj.", "ip_adapter."),
}
_CHECKPOINT = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.")
_BASE_MODEL = ("ss_base_model_version", "modelspec.architecture")  # metadata of kohya and OneTrainer


@dataclass(frozen=True)
class LoRALayer:
    """Layer of a LoRA file.

    Attributes:
        name: its name in the file, without the names of its factors.
        tensors: its factors by their names in the file.
        factor: multiplier of the update, alpha / r, or alpha / sqrt(r) where rank-stabilised; 1 where it has no alpha.
    """

    name: str
    tensors: Mapping[str, Tensor]
    factor: float


@dataclass(frozen=True)
class LoRAFile:
    """Content of a LoRA file.

    Attributes:
        layers: its layers.
        others: names of tensors that belong to no layer of a LoRA.
        sha256: SHA-256 of the file.
        base: model that it was trained on, as its metadata says; empty if they do not.
    """

    layers: tuple[LoRALayer, ...]
    others: tuple[str, ...]
    sha256: str
    base: str = ""


def read_lora(file: Path) -> LoRAFile:
    """Reads a LoRA file.

    Raises:
        ValueError: the file cannot be read, or is no LoRA; the message says what it is.
    """
    tensors, metadata = _read(file)
    keys = sorted(tensors)
    for kind, endings in _OTHER_KINDS.items():
        found = [key for key in keys if any(ending in key for ending in endings)]
        if found:
            raise ValueError(
                f"{file} is {kind}, which cannot be merged yet: {len(found)} of its {len(keys)} tensors are such, the "
                f"first {found[0]}; convert it to a plain LoRA"
            )
    layers = group_layers(tensors)
    alphas = {key.removesuffix(".alpha"): float(tensors[key].flatten()[0]) for key in keys if key.endswith(".alpha")}
    others = [key for key in keys if not _FACTOR.fullmatch(key) and not key.endswith(".alpha")]
    if not layers:
        raise ValueError(f"{file} holds no LoRA: {_describe(keys)}; try another file")
    if not all(bool(tensor.isfinite().all()) for layer in layers.values() for tensor in layer.values()):
        raise ValueError(f"the weights of {file} must be finite, got NaN or infinity; train it again")
    scaling = _scaling(file, metadata)
    found = tuple(
        LoRALayer(name, parts, _factor(name, parts, alphas.get(name), scaling)) for name, parts in layers.items()
    )
    base = next((metadata[key] for key in _BASE_MODEL if metadata.get(key)), "")
    return LoRAFile(found, tuple(others), sha256_of(file), base)


def group_layers(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Returns the factors of each layer by their names in the file, by the names of the layers."""
    layers: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for key in sorted(tensors):
        match = _FACTOR.fullmatch(key)
        if match:
            layers[match["layer"]][key] = tensors[key]
    return dict(layers)


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as handle:
            return {key: handle.get_tensor(key) for key in handle.keys()}, dict(handle.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} is no safetensors file: {reason(error)}") from error


def _describe(keys: list[str]) -> str:
    """Description of a file that is no LoRA."""
    if not keys:
        return "it is empty"
    shown = ", ".join(keys[:2])[:120] + (" ..." if len(keys) > 2 else "")
    if any(key.startswith(_CHECKPOINT) for key in keys):
        return f"it is a complete checkpoint, with {len(keys)} tensors ({shown})"
    if set(keys) <= {"clip_l", "clip_g", "t5", "emb_params"} or (len(keys) == 1 and "." not in keys[0]):
        return f"it is a textual inversion ({shown}), which goes to the embeddings"
    return f"its tensors are named {shown}"


def _scaling(file: Path, metadata: Mapping[str, str]) -> Mapping[str, Any]:
    """Returns peft's configuration of the file: in its metadata by diffusers, or its adapter_config.json."""
    beside = file.with_name("adapter_config.json")
    try:
        text = beside.read_text() if file.stem == "adapter_model" and beside.is_file() else "{}"
        content = json.loads(metadata.get("lora_adapter_metadata") or text)
        if not isinstance(content, dict):
            raise ValueError("it holds no JSON object")
    except (ValueError, OSError) as error:
        raise ValueError(f"the LoRA configuration of {file} is damaged: {reason(error)}; save it again") from error
    if any(value is True for key, value in content.items() if key.endswith("use_dora")):
        raise ValueError(f"{file} is DoRA (a LoRA with magnitudes), which cannot be merged yet; convert it")
    return content


def _factor(name: str, tensors: Mapping[str, Tensor], alpha: float | None, scaling: Mapping[str, Any]) -> float:
    """Returns alpha / r of a layer: its own alpha, else that of peft's configuration, else 1."""
    rank = next((tensor.shape[0] for kind, tensor in split_factors(tensors) if kind == "A"), 0)
    component, _, inner = name.partition(".")  # diffusers' metadata name the component first

    def setting(key: str) -> Any:
        return scaling.get(key, scaling.get(f"{component}.{key}"))

    stabilised = False
    if alpha is None:
        alpha, stabilised = setting("lora_alpha"), bool(setting("use_rslora"))
        for pattern, value in (setting("alpha_pattern") or {}).items():
            if any(re.fullmatch(rf"(.*\.)?({pattern})", part) for part in (name, inner)):
                alpha = value
                break
    if alpha is None or not rank:
        return 1.0
    return float(alpha) / (math.sqrt(rank) if stabilised else rank)


def split_factors(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yields the factors of a layer as ("A" | "B" | "bias", tensor)."""
    for key, tensor in tensors.items():
        match = _FACTOR.fullmatch(key)
        if match and match["kind"] == "bias":
            yield "bias", tensor
        elif match:
            yield ("A" if match["factor"] in _DOWN else "B"), tensor
