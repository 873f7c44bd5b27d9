"""HTML pages from the templates in `templates/`, self-contained: they load nothing and send nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from typing import Any

from markupsafe import Markup

from modeseek.citations.bibtex import bibtex, find_sources

_INVALID = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")  # control characters and lone surrogates


def render_page(template: str, *, title: str, script: str = "", **context: object) -> str:
    """A complete HTML page; markup in the context is shown as text, invalid characters as �.

    Its content security policy allows inlined images and videos and this one script only, so that injected markup can
    neither load nor send anything.

    Args:
        template: name of the template without `.html.j2`.
        title: title of the page.
        script: JavaScript to run at the end of the body; empty for none.
        context: values that the template shows.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    page = _environment().get_template(f"{template}.html.j2")
    text = page.render(title=title, script=Markup(script), script_hash=digest, **context)
    return _INVALID.sub("\ufffd", text.replace("\r\n", "\n"))


def render_fragment(template: str, macro: str, *values: object) -> str:
    """HTML of a macro of a template, to embed in a page that is not from `render_page`, such as one of the docs."""
    module = _environment().get_template(f"{template}.html.j2").module
    return _INVALID.sub("\ufffd", str(vars(module)[macro](*values)))


@cache
def read_script(name: str) -> str:
    """The JavaScript `templates/<name>.js`."""
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, f"{name}.js")[0]


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("modeseek.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    functions: dict[str, Any] = {"bibtex": bibtex, "data_uri": _data_uri, "find_sources": find_sources}
    environment.globals.update(functions)
    return environment


def _data_uri(data: bytes, kind: str, medium: str = "image") -> str:
    """Data URI of an image of that type, such as png, or of a video."""
    return f"data:{medium}/{kind};base64,{base64.b64encode(data).decode('ascii')}"
