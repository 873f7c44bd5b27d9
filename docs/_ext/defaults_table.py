"""`{defaults-table}`: hyperparameters of every method, official and ours; ours are read from the code by the build."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from method_list import method_of
from official_defaults import OFFICIAL, Official
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from modeseek.config.guidance import default_guidance
from modeseek.config.priors import PipelinePriorConfig
from modeseek.methods import METHODS

_STABLE_DIFFUSION = PipelinePriorConfig("owner/stable-diffusion")


def our_value(row: Official) -> Any:
    """Our default; the guidance of methods of a guided prior is that of the command on Stable Diffusion."""
    method = method_of(METHODS[row.method])
    if row.field == "scale" and not method.guides:
        return default_guidance(row.method, _STABLE_DIFFUSION).scale
    return getattr(method, row.field)


def shown(value: Any) -> str:
    """A value as it is written in Python; functions by their name, words as they are."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value.__name__}`" if isinstance(value, Callable) and hasattr(value, "__name__") else f"`{value!r}`"


def agreement(row: Official) -> str:
    """Whether ours is the official value; empty where that is words, which no code compares."""
    ours = our_value(row)
    if isinstance(row.value, str) and not isinstance(ours, str):
        return ""
    return "yes" if ours == row.value else "**no**"


def rows() -> list[str]:
    """The table, as lines of Markdown."""
    lines = ["| method | hyperparameter | ours | official | source | same |", "|" + "---|" * 6]
    for row in OFFICIAL:
        cells = (
            f"`{row.method}`",
            f"`{row.field}`",
            shown(our_value(row)),
            shown(row.value),
            row.source,
            agreement(row),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def unlisted() -> list[str]:
    """Hyperparameters whose official value is not in the table, a phrase per method, as lines of Markdown."""
    lines = []
    methods: dict[str, Any] = METHODS
    for name, cls in methods.items():
        listed = {row.field for row in OFFICIAL if row.method == name}
        others = [f"`{field.name}`" for field in dataclasses.fields(cls) if field.name not in listed]
        if others:
            lines.append(f"- `{name}`: {', '.join(others)}")
    return lines


class DefaultsTable(SphinxDirective):
    """Directive that inserts the table, or with `others` what is not in it."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parses the table as content of the page."""
        parent = nodes.Element()
        lines = unlisted() if self.arguments == ["others"] else rows()
        self.state.nested_parse(StringList(lines, "defaults-table"), 0, parent)
        return parent.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the directive with Sphinx."""
    app.add_directive("defaults-table", DefaultsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
