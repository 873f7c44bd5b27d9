"""XML trees of untrusted SVG files: nothing is executed, fetched or expanded, and sizes are bounded."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from modeseek.io.errors import one_line

MAX_BYTES = 4_000_000
MAX_ELEMENTS = 10_000
MAX_DEPTH = 100
_PACKAGES = ("defusedxml", "svgelements")
_GZIP = b"\x1f\x8b"
_REFUSED = {
    "script": "a script",
    "image": "an embedded image",
    "feImage": "an embedded image",
    "iframe": "a web page",
    "object": "an embedded object",
}
_SVG_SPACE = "{http://www.w3.org/2000/svg}"
HREFS = ("href", "{http://www.w3.org/1999/xlink}href")


def parse_svg(data: str | bytes, name: str = "the SVG") -> Element:
    """Root element of an SVG, plain or compressed by gzip (.svgz), in any encoding that XML declares.

    Args:
        data: content of the file.
        name: name of the file, for messages.

    Raises:
        ValueError: it is no SVG, declares entities, holds scripts or images, refers to other files, or is larger than
            4 MB, 10,000 elements or 100 levels, or a package is missing; one line.
    """
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing:
        raise ValueError(f"SVG needs the package {missing[0]}, which is missing; pip install 'modeseek[vector]'")
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    content = _unpack(data, name)
    if not content.strip():
        raise ValueError(f"{name} must be an SVG, got an empty file; export it again")
    depth, elements, root = 0, 0, None
    try:
        for event, element in iterparse(io.BytesIO(content), events=("start", "end")):
            if event == "end":
                depth -= 1
                continue
            root = element if root is None else root
            depth, elements = depth + 1, elements + 1
            _check_element(element, root, depth, elements, name)
    except DefusedXmlException as error:
        raise ValueError(
            f"{name} must declare no entities, which can expand without end or read files; export it as plain SVG"
        ) from error
    except (ParseError, LookupError) as error:
        raise ValueError(
            f"{name} must be an SVG, got no well-formed XML: {one_line(error, 80)}; export it again"
        ) from error
    if root is None:
        raise ValueError(f"{name} must be an SVG, got no element; export it again")
    return root


def _unpack(data: str | bytes, name: str) -> bytes:
    """Content as bytes, uncompressed."""
    if isinstance(data, str):
        try:
            content = _without_declaration(data).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{name} must be Unicode text, got half of a surrogate pair; read it as bytes") from error
    elif data.startswith(_GZIP):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                content = packed.read(MAX_BYTES + 1)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(
                f"{name} must be a whole gzip file, got a damaged one: {one_line(error, 60)}; copy it again"
            ) from error
    else:
        content = data
    if len(content) > MAX_BYTES:
        raise ValueError(f"{name} must have at most {MAX_BYTES:,} bytes, got more; simplify the drawing first")
    return content


def _without_declaration(text: str) -> str:
    """Text without its XML declaration: the encoding named there is none of a text."""
    text = text.lstrip("\ufeff \t\r\n")
    return text.partition("?>")[2] if text.startswith("<?xml") else text


def _check_element(element: Element, root: Element, depth: int, elements: int, name: str) -> None:
    if element is root and local_name(element) != "svg":
        raise ValueError(f"{name} must be an SVG, got a root element <{local_name(element):.40}>; export it again")
    if depth > MAX_DEPTH:
        raise ValueError(f"{name} must be nested at most {MAX_DEPTH} levels deep, got more; ungroup the drawing")
    if elements > MAX_ELEMENTS:
        raise ValueError(f"{name} must have at most {MAX_ELEMENTS:,} elements, got more; simplify the drawing first")
    found = _REFUSED.get(local_name(element))
    if found:
        raise ValueError(
            f"{name} must be drawn of shapes, got {found} (<{local_name(element)}>); remove it, or trace the image"
        )
    target = reference(element.attrib)
    if local_name(element) != "a" and target and not target.startswith("#"):
        raise ValueError(f"{name} must refer to no other file, got href={target[:60]!r}; copy its content into the SVG")


def reference(attributes: Mapping[str, str]) -> str:
    """What `href` or `xlink:href` refers to, or empty."""
    return next((attributes[href].strip() for href in HREFS if href in attributes), "")


def local_name(element: Any) -> str:
    """Name of an element of SVG without its namespace; that of another namespace keeps it in braces."""
    return str(element.tag).removeprefix(_SVG_SPACE)
