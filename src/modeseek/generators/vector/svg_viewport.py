"""Units of SVG: lengths, transforms and viewports in pixels of the canvas."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jaxtyping import Float
from torch import Tensor

_LENGTH = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(%|[a-zA-Z]*)")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_UNITS = {
    "": 1.0,
    "px": 1.0,
    "in": 96.0,
    "cm": 96 / 2.54,
    "mm": 96 / 25.4,
    "q": 96 / 101.6,
    "pt": 96 / 72,
    "pc": 16.0,
    "em": 16.0,
    "rem": 16.0,
    "ex": 8.0,
}  # pixels, at the default size of fonts
_FUNCTION = re.compile(r"([a-zA-Z]+)\s*\(([^()]*)\)")
_ARGUMENTS = re.compile(r"(?:[\s\d.,eE+-]|deg|grad|rad|turn|px)*")
_ARITY = {
    "matrix": (6,),
    "translate": (1, 2),
    "translatex": (1,),
    "translatey": (1,),
    "scale": (1, 2),
    "scalex": (1,),
    "scaley": (1,),
    "rotate": (1, 3),
    "skewx": (1,),
    "skewy": (1,),
}  # numbers of arguments of each function
LARGEST_SIDE = 32_768


@dataclass(frozen=True)
class Affine:
    """Affine map of the plane: x' = a x + c y + e, y' = b x + d y + f."""

    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 1.0
    e: float = 0.0
    f: float = 0.0

    @classmethod
    @lru_cache(maxsize=1024)  # noqa: B019
    def read(cls, text: str | None) -> Affine:
        """Map of the attribute `transform`.

        Raises:
            ValueError: the text is no list of the transforms of SVG.
        """
        from svgelements import Matrix

        if not text or text.strip() == "none":
            return cls()
        functions = _FUNCTION.findall(text)
        known = all(
            _ARGUMENTS.fullmatch(arguments) and len(_NUMBER.findall(arguments)) in _ARITY.get(name.lower(), ())
            for name, arguments in functions
        )
        if not known or _FUNCTION.sub("", text).strip(" \t\r\n,"):
            raise ValueError(
                f"transforms must be matrix, translate, scale, rotate or skew of numbers, got {text[:60]!r}; "
                "export the file again"
            )
        matrix: Any = Matrix(text)  # svgelements has no types
        return cls(*(float(matrix[k]) for k in range(6)))

    def after(self, inner: Affine) -> Affine:
        """The map that applies `inner` first, then this one."""
        return Affine(
            self.a * inner.a + self.c * inner.b,
            self.b * inner.a + self.d * inner.b,
            self.a * inner.c + self.c * inner.d,
            self.b * inner.c + self.d * inner.d,
            self.a * inner.e + self.c * inner.f + self.e,
            self.b * inner.e + self.d * inner.f + self.f,
        )

    def __call__(self, points: Float[Tensor, "m 2"]) -> Float[Tensor, "m 2"]:
        linear = points.new_tensor([[self.a, self.b], [self.c, self.d]])
        return points @ linear + points.new_tensor([self.e, self.f])

    @property
    def scale(self) -> float:
        """Factor of lengths: the square root of that of areas."""
        return math.sqrt(abs(self.a * self.d - self.b * self.c))

    @property
    def uniform(self) -> bool:
        """Whether it scales all directions alike."""
        first, second = math.hypot(self.a, self.b), math.hypot(self.c, self.d)
        slack = 1e-3 * max(first, second)
        return abs(first - second) <= slack and abs(self.a * self.c + self.b * self.d) <= slack * max(first, second)


@dataclass(frozen=True)
class Viewport:
    """Viewport: what percentages refer to, and how its units map to those outside.

    Attributes:
        width: width, units inside.
        height: height, units inside.
        to_outer: map from its units to those outside.
        size: (height, width), units outside.
    """

    width: float
    height: float
    to_outer: Affine
    size: tuple[float, float]


def read_length(text: str | None, default: float, whole: float = 0.0) -> float:
    """Length in pixels, at 96 of them an inch; the default where the text is none, as renderers do.

    Args:
        text: number and unit.
        default: length where the text is missing or "auto".
        whole: length that is 100 %.
    """
    match = _LENGTH.fullmatch(text.strip()) if text else None
    unit = whole / 100 if match and match[2] == "%" else _UNITS.get(match[2].lower() if match else "?")
    return float(match[1]) * unit if match and unit is not None else default


def read_viewport(attributes: Mapping[str, str], outer: tuple[float, float] | None, name: str) -> Viewport:
    """Viewport of an `<svg>` or `<symbol>`, with `viewBox` and `preserveAspectRatio`.

    Args:
        attributes: attributes of the element.
        outer: width and height of the viewport that it lies in; None for the root, which fills its own viewBox.
        name: name of the file, for messages.

    Raises:
        ValueError: the root has neither a viewBox nor width and height, or the box has no area.
    """
    from svgelements import Viewbox

    numbers = [float(number) for number in _NUMBER.findall(attributes.get("viewBox", ""))]
    box = tuple(numbers) if len(numbers) == 4 else None
    if box and not (min(box[2:]) > 0 and all(math.isfinite(number) for number in box)):
        raise ValueError(f"{name} must have a viewBox of positive width and height, got {attributes['viewBox'][:60]!r}")
    width, height = (read_length(attributes.get(side), math.nan, math.nan) for side in ("width", "height"))
    if outer is not None:
        width = read_length(attributes.get("width"), outer[0], outer[0])
        height = read_length(attributes.get("height"), outer[1], outer[1])
    elif box:
        ratio = box[2] / box[3]
        if math.isnan(width):
            width = box[2] if math.isnan(height) else height * ratio
        height = width / ratio if math.isnan(height) else height
    if not (width > 0 and height > 0 and max(width, height) <= LARGEST_SIDE):
        raise ValueError(
            f"{name} must have a viewBox, or a width and height from 0 to {LARGEST_SIDE:,} pixels, got "
            f"{attributes.get('width', 'no width'):.20} and {attributes.get('height', 'no height'):.20}; add a viewBox"
        )
    x, y = (read_length(attributes.get(axis), 0.0) if outer is not None else 0.0 for axis in "xy")
    if not box:
        return Viewport(width, height, Affine(e=x, f=y), (height, width))
    align = attributes.get("preserveAspectRatio")
    placed = Viewbox.viewbox_transform(x, y, width, height, box[0], box[1], box[2], box[3], align)
    return Viewport(box[2], box[3], Affine.read(placed), (height, width))
