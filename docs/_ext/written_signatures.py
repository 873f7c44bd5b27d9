"""Signatures as they are written in the source: `z: Float[Tensor, "b *d"]`, not what Python makes of them.

Evaluated, a jaxtyping annotation prints as a class of a private module. All of modeseek postpones the evaluation of
annotations, so the text is there to be shown. Links in it lead to the public name, wherever the thing was defined.
Docstrings are plain prose, not reStructuredText: stars in them are stars, and an indented list of `name: text` is one.
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


class Shown:
    """A default value whose representation is what a reader would type."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def written(app: Sphinx, what: str, name: str, obj: Any, options: Any, plain: str | None, returns: str | None) -> Any:
    """Arguments and what comes back, or None where there is nothing to call."""
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
    kept = [p.replace(default=factories.get(p.name, _typed(p.default))) for p in parameters]
    bare = signature.replace(parameters=kept, return_annotation=inspect.Signature.empty)
    answer = signature.return_annotation
    silent = what == "class" or answer is inspect.Signature.empty
    return stringify_signature(bare), "" if silent else str(answer)


def _typed(default: Any) -> Any:
    """Functions by their names, and dataclasses without the fields that are at their defaults."""
    if inspect.isfunction(default):
        return Shown(default.__name__)
    if is_dataclass(default) and not isinstance(default, type):
        told = [
            f"{f.name}={_typed(getattr(default, f.name))!r}"
            for f in fields(default)
            if f.init and not (f.default is not MISSING and f.default == getattr(default, f.name))
        ]
        return Shown(f"{type(default).__name__}({', '.join(told)})")
    return default


def _factories(kind: type) -> dict[str, Shown]:
    """What the fields of a dataclass that are made anew each time begin as."""
    made = {f.name: f.default_factory for f in fields(kind)} if is_dataclass(kind) else {}
    return {name: Shown(f"{make.__name__}()") for name, make in made.items() if make is not MISSING}


def skip(app: Sphinx, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
    """Leaves out fields that hold a function: autodoc takes them for methods, and the signature tells them."""
    if inspect.isfunction(obj) and obj.__qualname__ == obj.__name__:
        return True
    return None


SECTIONS = ("Args:", "Attributes:", "Raises:", "Returns:", "Yields:", "Example:", "Examples:", "Note:")


def prose(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Makes a docstring what reStructuredText takes for the same, in place, before its sections are read."""
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
    """A link to what modeseek documents under the same last name, wherever the source has it from."""
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"].rsplit(".", 1)[-1]
    objects = env.get_domain("py").objects
    for full in (f"modeseek.{name}", *(known for known in objects if known.rsplit(".", 1)[-1] == name)):
        if full in objects and full.startswith("modeseek"):
            entry = objects[full]
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, text, full)
    return None


def setup(app: Sphinx) -> dict[str, Any]:
    """Listens where autodoc has made a signature, and where a link leads nowhere."""
    app.connect("autodoc-process-signature", written)
    app.connect("autodoc-process-docstring", prose, priority=100)
    app.connect("autodoc-skip-member", skip)
    app.connect("missing-reference", public)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
