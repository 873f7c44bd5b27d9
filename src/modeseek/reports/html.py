"""What all pages are made of: the skeleton, sections, lists, pictures and sources. No page loads anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from html import escape

from modeseek.citations.bibtex import bibtex, find_sources
from modeseek.reports.style import CSS

_BARRED = {code: "\ufffd" for code in (*range(32), 127) if chr(code) not in "\t\n"}


def safe(value: object) -> str:
    """A value as text for HTML and its quoted attributes; what no page may hold is shown as �."""
    text = str(value).encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair is no text
    return escape(text.replace("\r\n", "\n").translate(_BARRED), quote=True)


def page(title: str, body: Iterable[str], script: str = "") -> str:
    """A whole page.

    Its content security policy lets it load nothing but pictures that stand in it, and run no script but this one:
    whatever slips into the page, nothing leaves it.

    Args:
        title: of the tab, plain text.
        body: HTML, part by part.
        script: JavaScript, run when all of the body is there.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    runs, scripted = (f"'sha256-{digest}'", f"<script>{script}</script>") if script else ("'none'", "")
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {runs}; base-uri 'none'; "
        "form-action 'none'"
    )
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta name='color-scheme' content='light dark'>"
        f"<title>{safe(title)} · modeseek</title><style>{CSS}</style></head>\n"
        f"<body><main>\n{chr(10).join(part for part in body if part)}\n</main>"
        f"{scripted}</body></html>\n"
    )


def section(heading: str, *content: str) -> str:
    """A card with a heading; empty where there is no content."""
    inside = "".join(content)
    return f"<section><h2>{safe(heading)}</h2>{inside}</section>" if inside else ""


def tolerant_section(heading: str, make: Callable[[], str]) -> str:
    """A section that costs only itself where what it reads is damaged: then it says so, in one line."""
    try:
        return section(heading, make())
    except (ValueError, OSError) as error:
        return section(heading, alarm(" ".join(str(error).split())))


def alarm(line: str) -> str:
    """A line about something missing or damaged."""
    return f"<p class='alarm' role='note'>{safe(line[:400])}</p>"


def hint(line: str) -> str:
    """What to look for in what follows."""
    return f"<p class='watch'>{safe(line)}</p>"


def small(line: str) -> str:
    """A remark."""
    return f"<p class='small'>{safe(line)}</p>"


def code(text: str) -> str:
    """Text as it stands in a file."""
    return f"<pre tabindex='0'><code>{safe(text)}</code></pre>"


def details(summary: str, content: str) -> str:
    """Something folded away."""
    return f"<details><summary>{safe(summary)}</summary>{content}</details>"


def terms(pairs: Iterable[tuple[object, object]], tight: bool = False) -> str:
    """Names and what they stand for; `tight` puts both on one line."""
    inside = "".join(f"<dt>{safe(name)}</dt><dd>{safe(value)}</dd>" for name, value in pairs)
    kind = "tight" if tight else "loose"
    return f"<dl class='{kind}'>{inside}</dl>"


def data_uri(data: bytes, kind: str) -> str:
    """The bytes themselves in place of an address; `kind` is their media type, such as image/png."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def sources(keys: Sequence[str]) -> str:
    """The section that citation_keys these keys of `cite.SOURCES`; its links wait for a click."""
    lines = "".join(
        f"<li><a href='{safe(s.url)}'>{safe(s.formatted)}</a></li>" if s.url else f"<li>{safe(s.formatted)}</li>"
        for s in find_sources(keys)
    )
    return section("Sources", f"<ul>{lines}</ul>", details("BibTeX", code(bibtex(keys))))
