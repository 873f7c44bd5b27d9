"""Style of SVG elements: presentation attributes, simple CSS rules, inline styles and inheritance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from modeseek.generators.vector.svg_tree import local_name

Color = tuple[float, float, float, float]
"""Red, green, blue and opacity, in [0, 1]."""
INITIAL: Mapping[str, str] = {
    "color": "black",
    "fill": "black",
    "fill-opacity": "1",
    "fill-rule": "nonzero",
    "stroke": "none",
    "stroke-width": "1",
    "stroke-opacity": "1",
    "stroke-linecap": "butt",
    "stroke-linejoin": "miter",
    "stroke-dasharray": "none",
    "visibility": "visible",
}
"""Initial values of the properties that elements inherit."""
_LONGEST = 10_000  # characters of an attribute, except where a path lists its points
_POINTS = ("d", "points")
_MAX_RULES = 1_000
_SELECTOR = re.compile(r"(\*|[\w-]+)?([.#][\w-]+)?")
_LEFT_OUT = "CSS rules other than those of *, element, .class and #id are left out"


@dataclass(frozen=True)
class Rule:
    """CSS rule.

    Attributes:
        rank: inline or not, specificity, place in the sheet; of two rules the one of higher rank holds.
        declarations: value of each property.
        important: those marked `!important`, which hold against all others.
    """

    rank: tuple[int, int, int, int, int]
    declarations: Mapping[str, str]
    important: Mapping[str, str]

    @classmethod
    def read(cls, rank: tuple[int, int, int, int, int], body: str) -> Rule:
        """Rule of the declarations in a body such as "fill: red; opacity: .5"."""
        plain: dict[str, str] = {}
        important: dict[str, str] = {}
        for declaration in body.split(";"):
            name, colon, text = declaration.partition(":")
            value, mark, _ = text.partition("!important")
            if colon:
                (important if mark else plain)[name.strip().lower()] = value.strip()
        return cls(rank, plain, important)


@dataclass(frozen=True)
class Document:
    """An SVG while it is read.

    Attributes:
        root: its root element.
        name: name of the file, for messages.
        rules: rules of each selector.
        ids: element of each id, the first one.
        remarks: facts that the user must know, with how often each was met.
        means: mean colours of the gradients met, by id and `currentColor`.
    """

    root: Element
    name: str
    rules: dict[str, list[Rule]] = field(default_factory=dict[str, list[Rule]])
    ids: dict[str, Element] = field(default_factory=dict[str, Element])
    remarks: Counter[str] = field(default_factory=Counter[str])
    means: dict[tuple[str, str], Color | None] = field(default_factory=dict[tuple[str, str], Color | None])

    @classmethod
    def of(cls, root: Element, name: str) -> Document:
        """Reads the ids and the style sheets of a tree.

        Raises:
            ValueError: a sheet imports another, or there are more than 1,000 rules.
        """
        document = cls(root, name)
        sheets: list[str] = []
        for element in root.iter():
            document.ids.setdefault(element.get("id", ""), element)
            if local_name(element) == "style":
                sheets.append("".join(element.itertext()))
        document._add_sheet("\n".join(sheets))
        return document

    def _add_sheet(self, css: str) -> None:
        if "@import" in css:
            raise ValueError(f"{self.name} must refer to no other file, got @import; copy the rules into the SVG")
        blocks = _without_comments(css).split("}")
        if len(blocks) > _MAX_RULES:
            raise ValueError(
                f"{self.name} must have at most {_MAX_RULES:,} CSS rules, got more; export it as plain SVG"
            )
        for place, block in enumerate(blocks):
            selectors, _, body = block.partition("{")
            for selector in filter(None, map(str.strip, selectors.split(","))):
                match = _SELECTOR.fullmatch(selector)
                if match is None:
                    self.remarks[_LEFT_OUT] += 1
                    continue
                tag, mark = match[1] or "*", match[2] or ""
                rank = (0, int(mark.startswith("#")), int(mark.startswith(".")), int(tag != "*"), place)
                self.rules.setdefault(tag + mark, []).append(Rule.read(rank, body))

    def attributes(self, element: Element) -> dict[str, str]:
        """Attributes of an element, with what CSS rules and its inline style put in their place.

        Raises:
            ValueError: one is longer than 10,000 characters.
        """
        found, tag = dict(element.attrib), local_name(element)
        marks = ["", *(f".{name}" for name in element.get("class", "").split()[:100]), f"#{element.get('id', '')}"]
        rules = [rule for mark in marks for name in ("*", tag) for rule in self.rules.get(name + mark, ())]
        rules.append(Rule.read((1, 0, 0, 0, 0), element.get("style", "")))
        rules.sort(key=lambda rule: rule.rank)
        for declarations in (*(rule.declarations for rule in rules), *(rule.important for rule in rules)):
            found.update(declarations)
        for name, value in found.items():
            if len(value) > _LONGEST and name not in _POINTS:
                raise ValueError(
                    f"{self.name} must have attributes of at most {_LONGEST:,} characters, got {len(value):,} in "
                    f"{name:.40}; export it as plain SVG"
                )
        return found


def inherit(attributes: Mapping[str, str], parent: Mapping[str, str]) -> dict[str, str]:
    """Inherited properties of an element, given those of its parent."""
    return {
        name: value if (value := attributes.get(name, "inherit").strip()) != "inherit" else parent[name]
        for name in INITIAL
    }


def _without_comments(css: str) -> str:
    parts = css.split("/*")
    return " ".join([parts[0], *(part.partition("*/")[2] for part in parts[1:])])
