"""HTML pages as tests read them."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """All attributes, tags, tooltips, other text and the headings of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.headings: list[str] = []
        self.alarms: list[str] = []
        self._into: list[str] | None = None
        self.words = ""
        self.tooltips: list[str] = []
        self._in_tooltip = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._in_tooltip = ("role", "tooltip") in attrs
        self._into = self.headings if tag == "h2" else self.alarms if ("class", "alarm") in attrs else None
        if self._into is not None:
            self._into.append("")

    def handle_endtag(self, tag: str) -> None:
        self._into = None
        self._in_tooltip = False

    def handle_data(self, data: str) -> None:
        if self._in_tooltip:
            self.tooltips.append(data)
            return
        self.words += data
        if self._into is not None:
            self._into[-1] += data

    def values(self, tag: str, name: str) -> list[str]:
        return [value for t, n, value in self.attributes if (t, n) == (tag, name)]
