"""Colours of SVG: CSS colours, opacities, gradients as their mean colour."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from xml.etree.ElementTree import Element

from modeseek.generators.vector.svg_style import Color, Document
from modeseek.generators.vector.svg_tree import local_name, reference

_GRADIENTS = ("linearGradient", "radialGradient")
_FUNCTION = re.compile(r"(?:rgb|hsl)a?\((.*)\)", re.IGNORECASE | re.DOTALL)
_HEX = re.compile(r"#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")
_URL = re.compile(r"""url\(\s*['"]?([^'")]*)['"]?\s*\)(.*)""", re.DOTALL)
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(%|deg)?")
_MEAN = "gradients are replaced by their mean colour"


def read_paint(text: str, document: Document, current: str) -> Color | None:
    """Colour of a fill or stroke, None where nothing is painted.

    A gradient becomes its mean colour, with a remark; a pattern is left out, with a remark, or replaced by the colour
    that follows it.

    Args:
        text: value of `fill` or `stroke`.
        document: the SVG.
        current: value of `currentColor`.

    Raises:
        ValueError: the text is no colour, or refers to another file.
    """
    match = _URL.fullmatch(text)
    if match is None:
        return None if text in ("none", "") else read_color(text, document, current)
    target, fallback = match[1].strip(), match[2].strip()
    if not target.startswith("#"):
        raise ValueError(f"{document.name} must refer to no other file, got url({target[:60]}); use a plain colour")
    server = document.ids.get(target[1:])
    if server is not None and local_name(server) in _GRADIENTS:
        key = (target, current)
        if key not in document.means:
            document.means[key] = _mean_color(server, document, current)
        document.remarks[_MEAN] += 1
        return document.means[key]
    if server is not None:
        document.remarks["fills and strokes by patterns are left out"] += 1
    return None if fallback in ("none", "") else read_color(fallback, document, current)


def read_color(text: str, document: Document, current: str = "black") -> Color:
    """Red, green, blue and opacity of a CSS colour: a name, hexadecimal digits, rgb(), hsl() or currentColor.

    Raises:
        ValueError: the text is none of them.
    """
    text = text.strip().lower()
    if text in ("currentcolor", "context-fill", "context-stroke"):
        return read_color(current, document) if current.strip().lower() != "currentcolor" else (0.0, 0.0, 0.0, 1.0)
    if text == "transparent":
        return (0.0, 0.0, 0.0, 0.0)
    color = _hex_color(text) or _function_color(text)
    if color is None:
        raise ValueError(
            f"colours of {document.name} must be names, #rrggbb, rgb() or hsl(), got {text[:40]!r}; write #rrggbb"
        )
    return color


def _hex_color(text: str) -> Color | None:
    """Colour of a name of CSS or of hexadecimal digits."""
    from PIL.ImageColor import colormap

    name = colormap.get(text, text)
    text = name if isinstance(name, str) else text
    if not _HEX.fullmatch(text):
        return None
    digits = text[1:] if len(text) > 5 else "".join(2 * digit for digit in text[1:])
    red, green, blue, opacity = (int((digits + "ff")[at : at + 2], 16) / 255 for at in (0, 2, 4, 6))
    return (red, green, blue, opacity)


def _function_color(text: str) -> Color | None:
    """Colour of rgb(), rgba(), hsl() or hsla(), with commas or spaces."""
    import colorsys

    match = _FUNCTION.fullmatch(text)
    parts = re.split(r"[\s,/]+", match[1].strip()) if match else []
    numbers = [_NUMBER.fullmatch(part) for part in parts]
    if len(numbers) not in (3, 4):
        return None
    values = [(float(number[1]), number[2]) for number in numbers if number is not None]
    if len(values) != len(numbers):
        return None
    opacity = share(*values[3]) if len(values) == 4 else 1.0
    if text.startswith("rgb"):
        red, green, blue = (_clip(value / (100 if unit == "%" else 255)) for value, unit in values[:3])
    else:
        (hue, _), (saturation, _), (lightness, _) = values[:3]
        red, green, blue = colorsys.hls_to_rgb(hue / 360 % 1, _clip(lightness / 100), _clip(saturation / 100))
    return (red, green, blue, opacity)


def read_share(text: str | None, default: float = 1.0) -> float:
    """A number or percentage, clipped to [0, 1], such as an opacity; the default where it is none, as renderers do."""
    match = _NUMBER.fullmatch(text.strip()) if text else None
    return share(float(match[1]), match[2]) if match else default


def share(value: float, unit: str | None) -> float:
    """Number or percentage as a share in [0, 1]."""
    return _clip(value / 100 if unit == "%" else value)


def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _mean_color(gradient: Element, document: Document, current: str) -> Color | None:
    """Mean of the colour along a gradient from 0 to 1, the opacity included; None without stops."""
    stops = _stops(gradient, document)
    points: list[tuple[float, Color]] = []
    for attributes in stops:
        at = max(read_share(attributes.get("offset"), 0.0), points[-1][0] if points else 0.0)
        red, green, blue, opacity = read_color(attributes.get("stop-color", "black"), document, current)
        points.append((at, (red, green, blue, opacity * read_share(attributes.get("stop-opacity")))))
    if not points:
        return None
    points = [(0.0, points[0][1]), *points, (1.0, points[-1][1])]
    premultiplied = [(at, [value * color[3] for value in color[:3]] + [color[3]]) for at, color in points]
    red, green, blue, opacity = (
        sum((end - start) * (first[k] + last[k]) / 2 for (start, first), (end, last) in pairwise(premultiplied))
        for k in range(4)
    )
    if not opacity:
        return (0.0, 0.0, 0.0, 0.0)
    return (red / opacity, green / opacity, blue / opacity, opacity)


def _stops(gradient: Element, document: Document) -> list[Mapping[str, str]]:
    """Attributes of the stops of a gradient, or of the one that it refers to."""
    for _ in range(10):  # references of references, and no circles
        stops = [document.attributes(child) for child in gradient if local_name(child) == "stop"]
        target = document.ids.get(reference(gradient.attrib)[1:])
        if stops or target is None or local_name(target) not in _GRADIENTS:
            return [dict(stop) for stop in stops]
        gradient = target
    return []
