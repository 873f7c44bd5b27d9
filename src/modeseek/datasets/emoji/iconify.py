"""Icon sets in Iconify's JSON format: the drawings of a package as SVG text, with their characters and categories."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeseek.io.errors import reason

_BOX = {"left": 0, "top": 0, "width": 16, "height": 16}  # the format's defaults
_SIDE = 100  # of the document, any length: renderers scale it
_TURNS = ("rotate", "hFlip", "vFlip")
_LOADS_FILES = re.compile(r"<\s*(?:[\w.-]+:)?(image|feImage)\b")  # elements for which a renderer may open a file


@dataclass(frozen=True)
class IconifyIcon:
    """Icon of an icon set: one drawing.

    Attributes:
        key: name in the set, such as "red-apple".
        svg: square SVG document that shows the icon's box, centred.
        characters: Unicode characters that it draws.
        category: category in the set, or empty.
    """

    key: str
    svg: str
    characters: tuple[str, ...]
    category: str


def read_icon_set(folder: Path) -> tuple[IconifyIcon, ...]:
    """Reads the drawings of an npm package of Iconify: `icons.json`, `chars.json` and `metadata.json`.

    Box and body of an icon are those of the format (https://iconify.design/docs/types/iconify-json.html): properties of
    the icon, else of the set, else the defaults. Aliases (other names or mirror images of icons) are left out.

    Args:
        folder: folder of the package.

    Raises:
        ValueError: a file is missing or damaged, or an icon is turned, or embeds images; one line that names it.
    """
    icon_set = read_json_object(folder / "icons.json")
    characters: dict[str, list[str]] = defaultdict(list)
    for code, key in read_json_object(folder / "chars.json").items():
        characters[str(key)].append(_character(code, folder))
    described = folder / "metadata.json"
    categories = read_member(read_json_object(described), "categories", dict, described)
    category = {str(key): name for name in categories for key in read_member(categories, name, list, described)}
    icons = read_member(icon_set, "icons", dict, folder / "icons.json")
    found = []
    for key in icons:
        document = _document(key, icon_set | read_member(icons, key, dict, folder / "icons.json"), folder)
        found.append(IconifyIcon(key, document, tuple(characters[key]), category.get(key, "")))
    return tuple(found)


def _document(key: str, icon: dict[str, Any], folder: Path) -> str:
    """SVG document of an icon, given its properties."""
    turned = [name for name in _TURNS if icon.get(name)]
    if turned:
        raise ValueError(f"icons must be upright, got {key} of {folder} with {turned[0]}; install another release")
    body = icon.get("body")
    if not isinstance(body, str):
        raise ValueError(f"an icon must have a body of SVG, got {key} of {folder} without; install the package again")
    embedded = _LOADS_FILES.search(body)
    if embedded:
        raise ValueError(
            f"an icon must be drawn of paths, got {key} of {folder} with the element {embedded[1]}, which can read "
            "files; install the package again"
        )
    box = " ".join(f"{icon.get(name, default)}" for name, default in _BOX.items())
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {names} viewBox="{box}" width="{_SIDE}" height="{_SIDE}">{body}</svg>'


def _character(code: str, folder: Path) -> str:
    """Characters of a code such as "1f1e6-1f1e8"."""
    try:
        return "".join(chr(int(point, 16)) for point in code.split("-"))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"chars.json of {folder} has {code!r}, which is no character; install it again") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file of a package.

    Raises:
        ValueError: the file is missing or holds none; one line.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} must be a file of JSON, got {reason(error)}; install the package again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, got a {type(content).__name__}; install the package again")
    return content


def read_member(content: dict[str, Any], key: str, kind: type[Any], path: Path) -> Any:
    """Returns the object (`dict`) or array (`list`) of that key in the content of a file.

    Raises:
        ValueError: there is none; one line.
    """
    value = content.get(key)
    if not isinstance(value, kind):
        raise ValueError(f"{path} must hold a {kind.__name__} {key!r}, got {value!r:.40}; install the package again")
    return value
