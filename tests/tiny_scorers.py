"""Networks of the image metrics with random weights: CLIP, DINOv2, ResNet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tiny import clip_tokenizer
from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model, ResNetConfig, ResNetModel

PREPARED = {
    "do_resize": True, "size": {"shortest_edge": 16}, "resample": 3, "do_center_crop": True,
    "crop_size": {"height": 16, "width": 16}, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
    "image_mean": [0.48, 0.45, 0.4], "image_std": [0.27, 0.26, 0.28],
}  # fmt: skip


def save(model: Any, folder: Path, **prepared: Any) -> Path:
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPARED | prepared))
    return folder


def clip(folder: Path) -> Path:
    side = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    words = {"vocab_size": 200, "max_position_embeddings": 16, "bos_token_id": 190, "eos_token_id": 191}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = CLIPConfig(
            text_config=side | words | {"pad_token_id": 191},
            vision_config=side | {"image_size": 16, "patch_size": 8},
            projection_dim=12,
        )
        save(CLIPModel(config), folder)
    clip_tokenizer(folder.with_name("words")).save_pretrained(folder)
    return folder


def dino(folder: Path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        config = Dinov2Config(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=16,
            patch_size=4,
            layerscale_value=1.0,
        )
        return save(Dinov2Model(config), folder)


def resnet(folder: Path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic")
        return save(ResNetModel(config), folder, do_center_crop=False, size={"height": 32, "width": 32}, resample=2)
