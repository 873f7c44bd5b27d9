"""`{method-list}`: table of the methods with required conditions and costs, computed while the docs are built.

Costs are those of `modeseek methods`. Required conditions are found by calling each method's `step` with more and more
conditions until it succeeds; if it never does, its error message is shown.
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

LABELS = {"positive": 0, "null": -1, "negative": 1, "source": 2}
CONDITION_SETS = (
    (),
    ("positive",),
    ("positive", "null"),
    ("positive", "source"),
    ("positive", "null", "negative"),
    ("positive", "null", "source"),
    tuple(LABELS),
)
REQUIRED_ARGUMENTS = {"bandwidth": ms.Fixed(0.2), "method": ms.SDS()}


def method_of(method_class: type) -> ms.Method:
    """The method with its defaults, and examples of the arguments without one."""
    names = inspect.signature(method_class).parameters
    missing = [name for name, parameter in names.items() if parameter.default is inspect.Parameter.empty]
    return method_class(**{name: REQUIRED_ARGUMENTS[name] for name in missing})


def required_conditions(method: ms.Method) -> str:
    """Names of the fewest conditions with which a step on 2-D points succeeds, or the error if none suffice."""
    prior, reason = ring().prior, ""
    z = torch.ones(4, 2, dtype=prior.dtype)
    for names in CONDITION_SETS:
        labels = {name: torch.full((4,), LABELS[name]) for name in names}
        conditions = ms.Conditions(**labels) if labels else None
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
    """Prior calls per row and step, without and with guidance, of every method, as `modeseek methods` prints them."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        MethodsCommand().run(["modeseek", "methods"])
    matches = re.findall(r"^(\S+) .*\n +(\d+) calls? a step(?:, (\d+) guided)?", output.getvalue(), re.MULTILINE)
    if {name for name, *_ in matches} != set(METHODS):
        raise ValueError(f"modeseek methods must print {len(METHODS)} costs, got {len(matches)}; adapt the pattern")
    return {name: (plain, guided or plain) for name, plain, guided in matches}


def rows() -> list[str]:
    """The table, as lines of Markdown."""
    cost_of = costs()
    headings = ("name", "class", "required conditions", "guidance", "trains", "calls per step (guided)")
    lines = [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
    for name, method_class in METHODS.items():
        names = {f.name for f in fields(method_class)}
        plain, guided = cost_of[name]
        guidance = "own `scale`" if "scale" in names else "class minus null" if name == "csd" else "`Guided` prior"
        trains = "auxiliary network" if "auxiliary" in names else ""
        cost = plain if plain == guided else f"{plain} ({guided})"
        conditions = required_conditions(method_of(method_class))
        lines.append(f"| `{name}` | `{method_class.__name__}` | {conditions} | {guidance} | {trains} | {cost} |")
    return lines


class MethodList(SphinxDirective):
    """Directive that inserts the table of methods."""

    def run(self) -> list[nodes.Node]:
        """Parses the table as content of the page."""
        parent = nodes.Element()
        self.state.nested_parse(StringList(rows(), "method-list"), 0, parent)
        return parent.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the directive with Sphinx."""
    app.add_directive("method-list", MethodList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
