"""Exported drawings of a run for its page: each as inline SVG, with its numbers and links to its files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from markupsafe import Markup

from modeseek.reports.run_files import FileLink
from modeseek.rundir.drawing_records import DrawingRecord, read_records

_MAX_DRAWINGS = 24  # in a page
_MAX_BYTES = 200_000  # of a drawing in a page
_NAMESPACE = "http://www.w3.org/2000/svg"
_PREFIX = f"{{{_NAMESPACE}}}"
_ATTRIBUTES = {
    "svg": ("viewBox", "width", "height", "stroke-linecap", "stroke-linejoin"),
    "rect": ("x", "y", "width", "height", "fill", "fill-opacity"),
    "path": (
        "d", "fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap",
        "stroke-linejoin",
    ),
}  # fmt: skip
_VALUE = re.compile(r"[#\w\s.,%+-]*", re.ASCII)  # no url(...), no quotes, no scheme
_HEADS = ("Prompt", "Paths", "Bytes", "Invisible, dropped", "Visible, removed", "Re-render error")


@dataclass(frozen=True)
class ShownDrawing:
    """An exported drawing.

    Attributes:
        prompt: its prompt.
        markup: its SVG as markup of the page; None if it is too large.
        files: label and link of its files, the SVG first.
    """

    prompt: str
    markup: Markup | None
    files: tuple[tuple[str, FileLink], ...]


@dataclass(frozen=True)
class Drawings:
    """Exported drawings of a run.

    Attributes:
        shown: at most 24 of them.
        n_omitted: number of the others.
        heads: headings of the table of numbers.
        rows: rows of the table, one for each drawing.
    """

    shown: tuple[ShownDrawing, ...] = ()
    n_omitted: int = 0
    heads: tuple[str, ...] = _HEADS
    rows: tuple[tuple[str, ...], ...] = ()


def read_drawings(run: Path) -> Drawings:
    """Drawings that a run exported, with their numbers; none for a run of anything else.

    Raises:
        ValueError: a file is damaged, or no drawing that modeseek wrote.
        OSError: a file cannot be read.
    """
    records = read_records(run)
    shown = tuple(_show(run, record) for record in records[:_MAX_DRAWINGS])
    return Drawings(shown, max(0, len(records) - _MAX_DRAWINGS), rows=tuple(map(_row, records)))


def inline_svg(text: str, label: str) -> Markup:
    """Markup of an SVG file that modeseek wrote, rebuilt from its paths alone.

    Elements and attributes other than those that modeseek writes are refused, and so are values that could refer to
    anything: scripts, styles, links and images never reach the page.

    Args:
        text: content of the SVG file.
        label: text that names the drawing for screen readers.

    Raises:
        ValueError: no SVG, or one with an element or attribute that modeseek does not write.
    """
    if "<!" in text or "<?" in text:  # no document type, so no entities; no processing instructions
        raise ValueError("a drawing must hold paths alone, got a declaration")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"a drawing must be an SVG file, got {error}") from error
    parts = [_element(child) for child in root if child.tag != f"{_PREFIX}title"]
    head = _attributes(root, "svg")
    return Markup("<svg xmlns='{}'{} role='img' aria-label='{}'>{}</svg>").format(
        _NAMESPACE, head, label, Markup("").join(parts)
    )


def _element(element: ElementTree.Element) -> Markup:
    name = element.tag.removeprefix(_PREFIX)
    if name not in ("path", "rect") or len(element):
        raise ValueError(f"a drawing must hold paths alone, got the element {name!r:.40}")
    return Markup("<{}{}/>").format(name, _attributes(element, name))


def _attributes(element: ElementTree.Element, name: str) -> Markup:
    if element.tag != f"{_PREFIX}{name}":
        raise ValueError(f"a drawing must be an SVG file, got the element {element.tag!r:.40}")
    for key, value in element.attrib.items():
        if key not in _ATTRIBUTES[name] or not _VALUE.fullmatch(value):
            raise ValueError(f"a drawing must hold paths alone, got the attribute {key}={value!r:.40}")
    return Markup("").join(Markup(" {}='{}'").format(key, value) for key, value in element.attrib.items())


def _show(run: Path, record: DrawingRecord) -> ShownDrawing:
    path = run / "exports" / Path(record.file).name  # of this folder, whatever the record says
    text = path.read_text("utf-8") if path.stat().st_size <= _MAX_BYTES else ""
    try:
        markup = inline_svg(text, record.prompt) if text else None
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    images = sorted(path.parent.glob(f"{_literal(path.stem)}*.png"), key=lambda image: image.stat().st_size)
    own = [image for image in images if re.fullmatch(re.escape(path.stem) + r"(@\d+x?)?", image.stem)]
    links = [FileLink.of(run, file) for file in (path, *own)]
    labels = ["SVG", *(f"PNG {link.enlargement}" for link in links[1:])]
    return ShownDrawing(record.prompt, markup, tuple(zip(labels, links, strict=True)))


def _literal(name: str) -> str:
    """A file name in which no character is a wildcard."""
    return re.sub(r"([\[*?])", r"[\1]", name)


def _row(record: DrawingRecord) -> tuple[str, ...]:
    error = "not measured" if record.error is None else f"{record.error:.1e}"
    return record.prompt, str(record.paths), f"{record.bytes:,}", str(record.dropped), str(record.removed), error
