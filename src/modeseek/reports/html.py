"""HTML elements of reports: page, sections, lists, images and sources. Pages load no external resources."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from html import escape

from modeseek.citations.bibtex import bibtex, find_sources
from modeseek.reports.style import CSS

_CONTROL_CHARACTERS = {code: "\ufffd" for code in (*range(32), 127) if chr(code) not in "\t\n"}


def safe(value: object) -> str:
    """A value escaped for HTML text and quoted attributes; invalid characters become �."""
    text = str(value).encode("utf-8", "replace").decode("utf-8")  # replaces lone surrogates
    return escape(text.replace("\r\n", "\n").translate(_CONTROL_CHARACTERS), quote=True)


def page(title: str, body: Iterable[str], script: str = "") -> str:
    """A complete HTML page.

    Its content security policy allows inlined images and this one script only, so that injected markup can neither load
    nor send anything.

    Args:
        title: title of the tab, plain text.
        body: HTML fragments; empty ones are skipped.
        script: JavaScript to run at the end of the body; empty for none.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    allowed, element = (f"'sha256-{digest}'", f"<script>{script}</script>") if script else ("'none'", "")
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'; "
        "form-action 'none'"
    )
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta name='color-scheme' content='light dark'>"
        f"<title>{safe(title)} · modeseek</title><style>{CSS}</style></head>\n"
        f"<body><main>\n{chr(10).join(part for part in body if part)}\n</main>"
        f"{element}</body></html>\n"
    )


def section(heading: str, *content: str) -> str:
    """A card with a heading; empty without content."""
    joined = "".join(content)
    return f"<section><h2>{safe(heading)}</h2>{joined}</section>" if joined else ""


def tolerant_section(heading: str, make: Callable[[], str]) -> str:
    """A section whose content may fail to read damaged files: the section then shows the error in one line."""
    try:
        return section(heading, make())
    except (ValueError, OSError) as error:
        return section(heading, alarm(" ".join(str(error).split())))


def alarm(line: str) -> str:
    """A highlighted line about something missing or damaged."""
    return f"<p class='alarm' role='note'>{safe(line[:400])}</p>"


def hint(line: str) -> str:
    """A highlighted explanation of how to read the content below."""
    return f"<p class='watch'>{safe(line)}</p>"


def small(line: str) -> str:
    """A remark in small print."""
    return f"<p class='small'>{safe(line)}</p>"


def code(text: str) -> str:
    """Verbatim text."""
    return f"<pre tabindex='0'><code>{safe(text)}</code></pre>"


def details(summary: str, content: str) -> str:
    """Content that is folded under a summary line."""
    return f"<details><summary>{safe(summary)}</summary>{content}</details>"


def terms(pairs: Iterable[tuple[object, object]], tight: bool = False) -> str:
    """Definition list of names and values; `tight` puts both on one line."""
    items = "".join(f"<dt>{safe(name)}</dt><dd>{safe(value)}</dd>" for name, value in pairs)
    layout = "tight" if tight else "loose"
    return f"<dl class='{layout}'>{items}</dl>"


def data_uri(data: bytes, kind: str) -> str:
    """Data URI of the bytes; `kind` is their media type, such as image/png."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def sources(keys: Sequence[str]) -> str:
    """Section with the sources of these keys of `citations.bibtex.SOURCES` and their BibTeX."""
    lines = "".join(
        f"<li><a href='{safe(s.url)}'>{safe(s.formatted)}</a></li>" if s.url else f"<li>{safe(s.formatted)}</li>"
        for s in find_sources(keys)
    )
    return section("Sources", f"<ul>{lines}</ul>", details("BibTeX", code(bibtex(keys))))
