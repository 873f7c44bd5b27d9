"""Rows on files that are added to a pipeline: LoRA and textual inversions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from which_models.row import ModelRow, Section

_LAYER = "down_blocks.1.attentions.0.transformer_blocks.0.attn1"
_KOHYA = "lora_unet_" + _LAYER.replace(".", "_")
_TEXT = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"


def _pair(name: str, down: str = "lora_A", up: str = "lora_B", width: int = 16) -> dict[str, Tensor]:
    ramp = torch.linspace(-1, 2, 2 * width)
    return {f"{name}.{down}.weight": ramp.reshape(2, width), f"{name}.{up}.weight": ramp.clone().reshape(width, 2)}


def _kohya(name: str) -> dict[str, Tensor]:
    return _pair(name, "lora_down", "lora_up") | {f"{name}.alpha": torch.tensor(1.0)}


def _writes(name: str, tensors: dict[str, Tensor]) -> Callable[[Path], None]:
    return lambda folder: save_file(tensors, folder / name)


def _lora(what: str, tensors: dict[str, Tensor], line: str = "", note: str = "", base: str = "sd") -> ModelRow:
    return ModelRow(what, base, _writes("lora.safetensors", tensors), line, note)


def _embedding(what: str, tensors: dict[str, Tensor], line: str = "", note: str = "", base: str = "sd") -> ModelRow:
    return ModelRow(what, base, _writes("x.safetensors", tensors), line, note)


_MISFIT = _pair("unet.up_blocks.9.attentions.0.to_q") | _pair("unet.up_blocks.9.attentions.1.to_q")
ADDED_FILES = Section(
    "LoRA and textual inversion",
    "Safetensors only, `--lora FILE[=SCALE]` and `--embedding FILE[=TOKEN]`, or `loras` and `embeddings` of "
    "`Pipeline.load`. Every layer is scaled by its own alpha / r, and compared by name and shape with those of the "
    "network and of every text encoder; the command and `log.txt` name layers that are ignored.",
    (
        _lora("LoRA of kohya", _kohya(f"{_KOHYA}_to_q"), note="alpha / r of each layer"),
        _lora(
            "LoRA of kohya with SDXL's own names (`input_blocks`)",
            _kohya("lora_unet_input_blocks_3_1_transformer_blocks_0_attn1_to_q"),
            base="sdxl",
        ),
        _lora("LoRA of diffusers", _pair(f"unet.{_LAYER}.to_q")),
        _lora("LoRA of the first diffusers (`processor.to_q_lora`)", {
            f"unet.{_LAYER}.processor.to_q_lora.down.weight": torch.ones(2, 16),
            f"unet.{_LAYER}.processor.to_q_lora.up.weight": torch.ones(16, 2)}),
        _lora("LoRA of peft", _pair(f"base_model.model.{_LAYER}.to_q"), note="with its adapter_config.json"),
        _lora("LoRA of OneTrainer",
              _pair("lora_transformer_transformer_blocks_0_attn_to_q", "lora_down", "lora_up", 32), base="flux"),
        _lora("LoRA of PixArt, IF or SD3 with the names of diffusers",
              _pair("transformer.transformer_blocks.0.attn1.to_q"), base="pixart"),
        _lora("LoRA of text encoders", _kohya(_TEXT), note="also SDXL's second and T5"),
        _lora("LoRA with layers that the model does not have", _pair(f"unet.{_LAYER}.to_q") |
              _pair(f"unet.{_LAYER}.to_k") | _pair("unet.up_blocks.9.attentions.0.to_q"), note="with a warning"),
        _lora("LoRA of another family, or most of whose layers do not fit", _pair(f"unet.{_LAYER}.to_q") | _MISFIT,
              "1 of 3 layers of the file are its own", "use one trained for the model"),
        _lora("DoRA", _kohya(f"{_KOHYA}_to_q") | {f"{_KOHYA}_to_q.dora_scale": torch.ones(16)}, "is DoRA"),
        _lora("LoHa", {f"{_KOHYA}_to_q.hada_w1_a": torch.ones(2, 2)}, "is LoHa"),
        _lora("LoKr", {f"{_KOHYA}_to_q.lokr_w1": torch.ones(2, 2)}, "is LoKr"),
        _lora("checkpoint given as a LoRA", {"model.diffusion_model.out.weight": torch.ones(2)}, "complete checkpoint"),
        _lora("textual inversion given as a LoRA", {"<x>": torch.ones(2, 16)}, "it is a textual inversion"),
        _embedding("textual inversion of diffusers, one or several vectors", {"<x>": torch.ones(2, 16)}),
        _embedding("textual inversion of AUTOMATIC1111 (`emb_params`)", {"emb_params": torch.ones(2, 16)},
                   note="the token is the file's name"),
        _embedding("textual inversion of SDXL (`clip_l`, `clip_g`)",
                   {"clip_l": torch.ones(1, 16), "clip_g": torch.ones(1, 16)}, base="sdxl"),
        _embedding("textual inversion of another width", {"<x>": torch.ones(1, 20)}, "<x> is 20 wide, text_encoder is"),
        _embedding("textual inversion for SD3, IF or PixArt", {"<x>": torch.ones(1, 16)},
                   "diffusers has no textual inversion for StableDiffusion3Pipeline", base="sd3"),
        _embedding("LoRA given as a textual inversion", _pair(f"unet.{_LAYER}.to_q"), "a LoRA: pass it as one"),
    ),
    "tests/priors/pipeline/test_added_files.py::test_rows_of_added_files",
)  # fmt: skip
