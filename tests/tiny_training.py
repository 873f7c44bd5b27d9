"""Recipes of trainings that take a second, and packages of fabricated drawings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from tools.bundled_priors.model import SmallModelConfig
from tools.bundled_priors.recipe import EMOJI, SCENES, PoolRecipe, StageRecipe, TrainingRecipe
from tools.bundled_priors.session import SessionSettings
from tools.bundled_priors.train import train

MODEL = SmallModelConfig(
    size=16, latent=4, decoder=(1, 0, 1), width=8, network=(8, 16), attention=(False, True), head=8, text_width=16,
    text_layers=1, text_heads=2, tokens=64, vocabulary=60,
)  # fmt: skip
STAGE = StageRecipe(batch=2, lr=1e-3, warm=2, pool=PoolRecipe(first=4, size=6, chunk=4, every=2))
_SMALL = {"model": MODEL, "sampling": 2, "corpus": 100, "fitted": 8, "tested": 4}
TINY_SCENES = replace(
    SCENES,
    words=replace(STAGE, steps=2),
    autoencoder=replace(STAGE, steps=3),
    network=replace(STAGE, steps=4),
    **_SMALL,
)
TINY_EMOJI = replace(EMOJI, autoencoder=replace(STAGE, steps=2), network=replace(STAGE, steps=4), **_SMALL)
RECIPES: dict[str, TrainingRecipe] = {"scenes": TINY_SCENES, "emoji": TINY_EMOJI}

_ICONS = {
    "red-apple": ("1f34e", "Food & Drink", '<circle cx="16" cy="16" r="12" fill="#d22"/>'),
    "owl": ("1f989", "Animals & Nature", '<path d="M4 4h24l-12 24z" fill="#952"/>'),
    "blue-square": ("1f7e6", "Symbols", '<rect x="4" y="4" width="24" height="24" fill="#24d"/>'),
    "flag-chad": ("1f1f9-1f1e9", "Flags", '<rect x="2" y="6" width="9" height="20" fill="#029"/>'),
}


def fabricate_icons(folder: Path) -> Path:
    """Writes npm packages of four drawings in each style, and their keywords; returns the folder."""
    for name in ("@iconify-json/fluent-emoji-flat", "@iconify-json/noto"):
        icons = {key: {"body": body, "width": 32, "height": 32} for key, (_, _, body) in _ICONS.items()}
        categories: dict[str, list[str]] = {}
        for key, (_, category, _) in _ICONS.items():
            categories.setdefault(category, []).append(key)
        _write(folder / name, "package.json", {"name": name})
        _write(folder / name, "icons.json", {"prefix": "test", "icons": icons})
        _write(folder / name, "chars.json", {code: key for key, (code, _, _) in _ICONS.items()})
        _write(folder / name, "metadata.json", {"categories": categories})
    _write(folder / "emojilib", "package.json", {"name": "emojilib"})
    keywords = {"\U0001f34e": ["red_apple", "fruit", "mac"], "\U0001f989": ["owl", "bird", "hoot", "night"]}
    _write(folder / "emojilib" / "dist", "emoji-en-US.json", keywords)
    return folder


def _write(folder: Path, name: str, content: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content), encoding="utf-8")


def train_tiny(prior: str, out: Path, icons: Path, recipe: TrainingRecipe | None = None, **options: object) -> Path:
    """Trains to the end and returns the folder."""
    settings = SessionSettings(budget=1e9, icons=icons if prior == "emoji" else None)
    for _ in train(prior, out, settings, recipe=RECIPES[prior] if recipe is None else recipe, **options):
        pass
    return out


def weights(folder: Path, stage: str = "network") -> dict[str, torch.Tensor]:
    """Weights of the pipeline of a training, and all tensors of a stage's newest checkpoint."""
    files = sorted((folder / "pipeline").rglob("*.safetensors"))
    kept = sorted((folder / "checkpoints" / stage).iterdir())[-1] / "tensors.safetensors"
    return {f"{path.parent.name} {name}": t for path in (*files, kept) for name, t in load_file(path).items()}
