"""Emoji drawings of Fluent Emoji and Noto Emoji, read from the npm packages that hold them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.emoji.iconify import IconifyIcon, read_icon_set, read_json_object, read_member

PACKAGES: dict[Literal["flat", "shaded"], str] = {
    "flat": "@iconify-json/fluent-emoji-flat",
    "shaded": "@iconify-json/noto",
}
KEYWORDS_PACKAGE = "emojilib"
INSTALL = f"npm install {PACKAGES['flat']}@1.2.6 {PACKAGES['shaded']}@1.2.9 {KEYWORDS_PACKAGE}@4.0.3"

_SKIN_TONE = re.compile(r"(^|-)(light|medium|medium-light|medium-dark|dark)(-skin-tone)?$|skin-tone|tone-?\d")
_EMOJI_STYLE = "\ufe0f"  # variation selector: show the character as an emoji
_KEYWORDS = slice(1, 8)  # of an entry of emojilib, whose first word is the emoji's name
_FLAGS, _FLAG_WEIGHT = "Flags", 0.25  # drawings of this category are rarer in training


@dataclass(frozen=True)
class Icon:
    """Emoji drawing.

    Attributes:
        style: style of its set: "flat" for Fluent Emoji, "shaded" for Noto Emoji.
        name: name in words, such as "red apple".
        keywords: up to seven further words from emojilib.
        category: category of its set, such as "Food & Drink", or empty.
        svg: square SVG document.
    """

    style: Literal["flat", "shaded"]
    name: str
    keywords: tuple[str, ...]
    category: str
    svg: str


def read_icons(folder: str | os.PathLike[str]) -> tuple[Icon, ...]:
    """Reads the drawings of Fluent Emoji (flat) and Noto Emoji, first of one style, then of the other.

    Variants in other skin tones are left out. 3,326 drawings of `@iconify-json/fluent-emoji-flat` 1.2.6 (MIT,
    Microsoft) and `@iconify-json/noto` 1.2.9 (Apache-2.0, Google); keywords of `emojilib` 4.0.3 (MIT), without it none.

    Args:
        folder: folder where the packages were installed, its `node_modules`, or a folder of unpacked packages.

    Raises:
        ValueError: a package is missing or damaged; one line.
    """
    root = Path(folder)
    found = {name: place for place in _candidates(root) if (name := _package_name(place))}
    missing = [name for name in PACKAGES.values() if name not in found]
    if missing:
        raise ValueError(f"the icons must be npm packages, got none of {missing[0]} in {root}; try {INSTALL} there")
    keywords = _keywords(found[KEYWORDS_PACKAGE]) if KEYWORDS_PACKAGE in found else {}
    return tuple(
        Icon(style, icon.key.replace("-", " "), _keywords_of(icon, keywords), icon.category, icon.svg)
        for style, package in PACKAGES.items()
        for icon in read_icon_set(found[package])
        if not _SKIN_TONE.search(icon.key)
    )


def sampling_weights(icons: Sequence[Icon]) -> Float[Tensor, "n"]:
    """Relative frequency of each drawing in training: a quarter for flags, 1 for all others."""
    return torch.tensor([_FLAG_WEIGHT if icon.category == _FLAGS else 1.0 for icon in icons])


def _candidates(root: Path) -> Iterator[Path]:
    """Folders that may be packages: below node_modules, or in `root` as npm or tar left them."""
    for name in (*PACKAGES.values(), KEYWORDS_PACKAGE):
        yield from (root / "node_modules" / name, root / name)
    if root.is_dir():
        for place in sorted(root.iterdir()):
            yield from (place, place / "package")


def _package_name(folder: Path) -> str:
    """Name of the npm package in a folder, or empty."""
    description = folder / "package.json"
    return str(read_json_object(description).get("name", "")) if description.is_file() else ""


def _keywords(folder: Path) -> dict[str, tuple[str, ...]]:
    """Keywords of each character, without its name."""
    path = folder / "dist" / "emoji-en-US.json"
    entries = read_json_object(path)
    words = {character: read_member(entries, character, list, path)[_KEYWORDS] for character in entries}
    return {character: tuple(str(word).replace("_", " ") for word in few) for character, few in words.items()}


def _keywords_of(icon: IconifyIcon, entries: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    found: tuple[str, ...] = ()
    for character in icon.characters:
        for key in (character, character + _EMOJI_STYLE):
            found = entries.get(key, found)
    return found
