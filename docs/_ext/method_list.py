"""`{method-list}`: table of the methods with required conditions and costs, computed while the docs are built.

Costs are those of `modeseek methods`. Required conditions are found by calling each method's `step` with more and more
conditions until it succeeds; if it never does, its error message is shown.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import torch
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import modeseek as ms
from modeseek.cli.method_list import count_calls
from modeseek.datasets.toy2d import ring
from modeseek.methods import METHODS

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
API_PAGE = Path(__file__).parents[1] / "api" / "methods.rst"
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


def rows() -> list[str]:
    """The table, as lines of Markdown."""
    headings = ("name", "class", "required conditions", "guidance", "trains", "calls per step (guided)")
    lines = [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
    for name, method_class in METHODS.items():
        _, plain, guided = count_calls(name)
        guidance = "own `scale`" if method_class.guides else "class minus null" if name == "csd" else "`Guided` prior"
        trains = "auxiliary network" if issubclass(method_class, ms.VSD) else ""
        cost = str(plain) if plain == guided else f"{plain} ({guided})"
        conditions = required_conditions(method_of(method_class))
        lines.append(f"| `{name}` | `{method_class.__name__}` | {conditions} | {guidance} | {trains} | {cost} |")
    return lines


def other_methods() -> list[str]:
    """API entries, as lines of reStructuredText, of the methods that the page itself does not name."""
    named = set(re.findall(r":: (?:modeseek\.methods\.)?(\w+)$", API_PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    others = [cls.__name__ for cls in METHODS.values() if cls.__name__ not in named]
    return [f".. autoclass:: modeseek.methods.{name}" for name in others]


class MethodList(SphinxDirective):
    """Directive that inserts the table of methods, or with `others` the API of those that the page does not name."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parses the table as content of the page."""
        parent = nodes.Element()
        lines = other_methods() if self.arguments == ["others"] else rows()
        self.state.nested_parse(StringList(lines, "method-list"), 0, parent)
        return parent.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the directive with Sphinx."""
    app.add_directive("method-list", MethodList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
