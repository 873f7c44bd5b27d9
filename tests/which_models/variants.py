"""Rows on variants of weights and null components."""

from __future__ import annotations

from pathlib import Path

import torch

from which_models.row import ModelRow, Section, unchanged
from which_models.weights import as_variant, both, edited, removed, rewrite, sharded

F16, BF16 = torch.float16, torch.bfloat16
PARTS = ("unet", "vae", "text_encoder")


def _pickled_beside(folder: Path) -> None:
    for part, name in (("unet", "diffusion_pytorch_model.bin"), ("text_encoder", "pytorch_model.bin")):
        (folder / part / name).write_bytes(b"never read")


def _old_attention(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    new = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for key, value in tensors.items():
        if "mid_block.attentions" in key:
            for name, old in new.items():
                key = key.replace(f".{name}.", f".{old}.")
        renamed[key] = value
    return renamed


VARIANTS = Section(
    "Variants of weights",
    "Safetensors only. Weights are chosen for each component: the plain file or shards first, then those of the "
    "requested dtype, then `fp32`, `bf16`, `fp16`, `ema`, then the only existing ones. `modeseek doctor --prior` "
    "prints the choice. From the hub only chosen files are downloaded.",
    (
        ModelRow("plain weights", change=unchanged),
        ModelRow(
            "plain weights with `fp16` beside them", change=as_variant("unet", "fp16", F16, keep=True), note="plain"
        ),
        ModelRow(
            "`non_ema` beside the plain weights", change=as_variant("unet", "non_ema", keep=True), note="plain (EMA)"
        ),
        ModelRow("`.bin` beside safetensors", change=_pickled_beside, note="the pickled file is not opened"),
        ModelRow("only `fp16`", change=both(*(as_variant(part, "fp16", F16) for part in PARTS))),
        ModelRow("only `bf16`", change=both(*(as_variant(part, "bf16", BF16) for part in PARTS))),
        ModelRow("`fp16` network, plain autoencoder", change=as_variant("unet", "fp16", F16), note="each its own"),
        ModelRow("only `non_ema`", change=as_variant("unet", "non_ema"), note="taken, with a warning"),
        ModelRow("plain shards", change=both(*map(sharded, PARTS))),
        ModelRow("`fp16` shards", change=both(*(sharded(part, "fp16") for part in PARTS))),
        ModelRow(
            "`fp16` shards with older names (`-00001-of-00002.fp16.safetensors`)",
            change=both(*(sharded(part, "fp16", legacy=True) for part in PARTS)),
        ),
        ModelRow(
            "attention of an autoencoder with older names (`query`, `proj_attn`)", change=rewrite("vae", _old_attention)
        ),
        ModelRow(
            "SD3 without T5 (null in `model_index.json`)",
            base="sd3",
            change=edited("model_index.json", text_encoder_3=[None, None], tokenizer_3=[None, None]),
            note="zeros instead of its embeddings, as in diffusers",
        ),
        ModelRow(
            "a pipeline without a safety checker",
            change=edited("model_index.json", safety_checker=[None, None], feature_extractor=[None, None]),
        ),
        ModelRow(
            "several variants and no plain one",
            change=both(
                as_variant("unet", "a", keep=True),
                lambda folder: _copy(folder, "a", "b"),
                removed("unet/diffusion_pytorch_model.safetensors"),
            ),
            line="holds only variants of its weights (a, b)",
            note="rename the one to use",
        ),
        ModelRow(
            "pickled weights only (`.bin`, `.ckpt`)",
            change=lambda folder: (folder / "unet/diffusion_pytorch_model.safetensors").rename(
                folder / "unet/diffusion_pytorch_model.bin"
            ),
            line="holds pickled weights only",
            note="save as safetensors",
        ),
    ),
    "tests/priors/pipeline/test_model_folders.py::test_rows_of_model_folders",
)


def _copy(folder: Path, old: str, new: str) -> None:
    file = folder / f"unet/diffusion_pytorch_model.{old}.safetensors"
    file.with_name(file.name.replace(f".{old}.", f".{new}.")).write_bytes(file.read_bytes())
