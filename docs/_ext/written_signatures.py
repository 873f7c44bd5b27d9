"""Signatures in the docs as written in the source, `z: Float[Tensor, "b *d"]`, instead of evaluated annotations.

An evaluated jaxtyping annotation prints as a class of a private module. All of modeseek postpones the evaluation of
annotations, so that their text is available. Links in it lead to the public name of the object, wherever it is defined.
Docstrings are plain text, not reStructuredText: asterisks are literal, and an indented list of `name: text` is a list.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import stringify_signature
from sphinx.util.nodes import make_refnode

Plain = tuple[str, str]


class WrittenDefault:
    """A default value whose representation is the text that a reader would type."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def written(app: Sphinx, what: str, name: str, obj: Any, options: Any, plain: str | None, returns: str | None) -> Any:
    """Text of the arguments and of the return annotation; None if the object is not callable."""
    if what not in ("class", "function", "method") or not callable(obj):
        return None
    if getattr(obj, "_is_protocol", False):
        return "", ""
    try:
        signature = inspect.signature(obj)
    except (TypeError, ValueError):
        return None
    parameters = list(signature.parameters.values())
    if what == "method" and parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    factories = _factories(obj) if what == "class" else {}
    parameters = [p.replace(default=factories.get(p.name, _typed(p.default))) for p in parameters]
    arguments = signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
    annotation = signature.return_annotation
    omitted = what == "class" or annotation is inspect.Signature.empty
    return stringify_signature(arguments), "" if omitted else str(annotation)


def _typed(default: Any) -> Any:
    """A default as text: functions by name, dataclasses without the fields at their defaults."""
    if inspect.isfunction(default):
        return WrittenDefault(default.__name__)
    if is_dataclass(default) and not isinstance(default, type):
        arguments = [
            f"{f.name}={_typed(getattr(default, f.name))!r}"
            for f in fields(default)
            if f.init and not (f.default is not MISSING and f.default == getattr(default, f.name))
        ]
        return WrittenDefault(f"{type(default).__name__}({', '.join(arguments)})")
    return default


def _factories(cls: type) -> dict[str, WrittenDefault]:
    """Calls of the default factories of a dataclass, by field name."""
    factories = {f.name: f.default_factory for f in fields(cls)} if is_dataclass(cls) else {}
    return {name: WrittenDefault(f"{make.__name__}()") for name, make in factories.items() if make is not MISSING}


def skip(app: Sphinx, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
    """Skips fields that hold a function, which the signature shows, and `forward` with the docstring of torch alone."""
    if name == "forward" and not obj.__doc__:
        return True
    if inspect.isfunction(obj) and obj.__qualname__ == obj.__name__:
        return True
    return None


SECTIONS = ("Args:", "Attributes:", "Raises:", "Returns:", "Yields:", "Example:", "Examples:", "Note:")


def prose(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Converts a plain-text docstring to reStructuredText, in place, before napoleon reads its sections."""
    out, listed = [], False
    for line in lines:
        if line and not line.startswith(" "):
            listed = line.endswith(":") and line not in SECTIONS
            out.append(line)
        elif listed and (item := re.fullmatch(r" {4}([\w-]+): (.*)", line)):
            out += [] if out[-1].startswith(("- ", "  ")) else [""]
            out.append(f"- ``{item[1]}``: {item[2]}")
        else:
            out.append(line.removeprefix("      ") if listed else line)
    pieces = ["".join(_literal(part) for part in re.split(r"(`+[^`]*`+)", line)) for line in out]
    lines[:] = pieces


def _literal(part: str) -> str:
    return part if part.startswith("`") else part.replace("*", "\\*")


def public(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Element) -> nodes.Element | None:
    """Resolves a reference to the object that modeseek documents under the same unqualified name."""
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"].rsplit(".", 1)[-1]
    objects = env.get_domain("py").objects
    for full in (f"modeseek.{name}", *(other for other in objects if other.rsplit(".", 1)[-1] == name)):
        if full in objects and full.startswith("modeseek"):
            entry = objects[full]
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, text, full)
    return None


def setup(app: Sphinx) -> dict[str, Any]:
    """Connects to Sphinx's events for signatures, docstrings, members and missing references."""
    app.connect("autodoc-process-signature", written)
    app.connect("autodoc-process-docstring", prose, priority=100)
    app.connect("autodoc-skip-member", skip)
    app.connect("missing-reference", public)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
