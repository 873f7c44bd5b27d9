"""`{method-list}`: which method needs what and what it costs, asked of the methods while the pages are built.

Costs are those that `modeseek methods` counts. Needs are found by asking each method for one step with ever more
conditions until it answers; where none is enough, its own words are shown.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import re
from dataclasses import fields
from typing import Any

import torch
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import modeseek as ms
from modeseek.cli.method_list import MethodsCommand
from modeseek.config.registry import METHODS
from modeseek.datasets.toy2d import ring

TOLD = {"positive": 0, "null": -1, "negative": 1, "source": 2}
TRIES = ((), ("positive",), ("positive", "null"), ("positive", "source"))
MORE = (("positive", "null", "negative"), ("positive", "null", "source"), tuple(TOLD))
REQUIRED = {"bandwidth": ms.Fixed(0.2), "method": ms.SDS()}


def method_of(kind: type) -> ms.Method:
    """The method at its defaults, with what it has no default for."""
    names = inspect.signature(kind).parameters
    missing = [name for name, parameter in names.items() if parameter.default is inspect.Parameter.empty]
    return kind(**{name: REQUIRED[name] for name in missing})


def needs(method: ms.Method) -> str:
    """The fewest conditions that it takes a step with, beside points of the plane, or why it takes none."""
    prior, reason = ring().prior, ""
    z = torch.ones(4, 2, dtype=prior.dtype)
    for names in (*TRIES, *MORE):
        told = {name: torch.full((4,), TOLD[name]) for name in names}
        conditions = ms.Conditions(**told) if told else None
        try:
            method.step(
                z,
                prior,
                method.init(z, prior),
                conditions=conditions,
                progress=0.5,
                rng=torch.Generator().manual_seed(0),
            )
        except (ValueError, TypeError) as error:
            reason = str(error).partition(":")[0]
            continue
        return ", ".join(name for name in names if name != "positive")
    return reason


def costs() -> dict[str, tuple[str, str]]:
    """Calls a row and step, without and with guidance, of every method that `modeseek methods` counts."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        MethodsCommand().run(["modeseek", "methods"])
    found = re.findall(r"^(\S+) .*\n +(\d+) calls? a step(?:, (\d+) guided)?", told.getvalue(), re.MULTILINE)
    if {name for name, *_ in found} != set(METHODS):
        raise ValueError(f"modeseek methods told the costs of {len(found)} of {len(METHODS)} methods; mend the pattern")
    return {name: (plain, guided or plain) for name, plain, guided in found}


def rows() -> list[str]:
    """The table, as Markdown."""
    counted = costs()
    lines = ["| name | class | must be told | guidance | learns | calls a step (guided) |", "|---|---|---|---|---|---|"]
    for name, kind in METHODS.items():
        own = {f.name for f in fields(kind)}
        plain, guided = counted[name]
        guides = "its own `scale`" if "scale" in own else "class minus null" if name == "csd" else "a `Guided` prior"
        learns = "a second score" if "auxiliary" in own else ""
        cost = plain if plain == guided else f"{plain} ({guided})"
        lines.append(f"| `{name}` | `{kind.__name__}` | {needs(method_of(kind))} | {guides} | {learns} | {cost} |")
    return lines


class MethodList(SphinxDirective):
    """The table in the place of the directive."""

    def run(self) -> list[nodes.Node]:
        """Parses it as a part of the page."""
        parent = nodes.Element()
        self.state.nested_parse(StringList(rows(), "method-list"), 0, parent)
        return parent.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Makes the directive known."""
    app.add_directive("method-list", MethodList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
