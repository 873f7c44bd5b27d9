"""Small npm packages of icons, written as Iconify writes them: a few shapes in two styles."""

from __future__ import annotations

import json
from pathlib import Path

FLUENT, NOTO, KEYWORDS = "@iconify-json/fluent-emoji-flat", "@iconify-json/noto", "emojilib"

# Names, characters and categories of both sets; shapes in a box of 32, for the other set scaled by 4.
SHAPES = {
    "red-square": ("1f7e5", "Symbols", '<path fill="#f00" d="M4 4h24v24H4z"/>'),
    "blue-bar": ("1f7e6", "Symbols", '<path fill="#00f" d="M2 12h28v8H2z"/>'),
    "green-post": ("1f7e9", "Objects", '<path fill="#080" d="M12 2h8v28h-8z"/>'),
    "orange-corner": ("1f7e7", "Objects", '<path fill="#f80" d="M3 3h26L3 29z"/>'),
    "white-flag": ("1f3f3", "Flags", '<path fill="#888" d="M4 2h3v28H4z"/><path fill="#ddd" d="M7 3h20v12H7z"/>'),
    "waving-hand": ("1f44b", "People & Body", '<circle cx="16" cy="16" r="13" fill="#fd4"/>'),
}
TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
NAMES = tuple(sorted(name.replace("-", " ") for name in SHAPES))


def icon_set(box: int, suffix: str = "", shade: str = "") -> dict[str, object]:
    """`icons.json` with every shape and the skin tones of the hand; shapes carry a mark `shade`."""
    scale = box / 32
    icons: dict[str, object] = {
        name: {"body": f'<g transform="scale({scale:g})">{body}{shade}</g>'} for name, (_, _, body) in SHAPES.items()
    }
    for tone in TONES:
        icons[f"waving-hand-{tone}{suffix}"] = icons["waving-hand"]
    aliases = {"hand": {"parent": "waving-hand"}, "bar-turned": {"parent": "blue-bar", "hFlip": True}}
    return {"prefix": "x", "icons": icons, "aliases": aliases, "width": box, "height": box}


def write_package(folder: Path, name: str, files: dict[str, object]) -> Path:
    """Writes a package with its `package.json` into node_modules/NAME and returns its folder."""
    place = folder / "node_modules" / name
    for path, content in {"package.json": {"name": name, "version": "1.0.0"}, **files}.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(json.dumps(content), encoding="utf-8")
    return place


def write_packages(folder: Path, keywords: bool = True) -> Path:
    """Writes both icon sets and emojilib below `folder` and returns it."""
    chars = {code: name for name, (code, _, _) in SHAPES.items()}
    groups: dict[str, list[str]] = {}
    for name, (_, group, _) in SHAPES.items():
        groups.setdefault(group, []).append(name)
    for package, box, suffix, shade in (
        (FLUENT, 32, "", ""),
        (NOTO, 128, "-skin-tone", '<path fill="#333" d="M11 11h10v10H11z"/>'),
    ):
        files = {
            "icons.json": icon_set(box, suffix, shade),
            "chars.json": chars,
            "metadata.json": {"categories": groups},
        }
        write_package(folder, package, files)
    if keywords:
        words = {
            chr(0x1F7E5): ["red_square", *(f"word_{k}" for k in range(9))],
            chr(0x1F3F3) + "\ufe0f": ["flag", "peace"],
        }
        write_package(folder, KEYWORDS, {"dist/emoji-en-US.json": words})
    return folder
