"""Sphinx renderer of mathematics as MathML, at build time.

Browsers render MathML natively (Firefox from the start, Safari since 10, Chrome since 109), so pages need no script, no
font and no network, and formulas can be copied. TeX is converted by docutils (`math_output: MathML`), a dependency of
Sphinx; Sphinx's own renderers load MathJax from a server or need LaTeX.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.math import get_node_equation_number

THIN = '<mspace width="0.1667em"></mspace>'
Translator = Any  # Sphinx's writer of HTML


def mathml(node: nodes.Element, block: bool) -> str:
    """MathML of a node's formula, on one line.

    Raises:
        ExtensionError: the TeX is not supported; ends the build.
    """
    try:
        text = tex2mathml(node.astext().strip(), as_block=block)
    except MathError as error:
        raise ExtensionError(f"{node.source}:{node.line}: {error} in the formula {node.astext()!r}") from error
    return spaced("".join(line.strip() for line in text.splitlines()))


def spaced(text: str) -> str:
    """MathML with TeX's thin spaces, fences and indices of accented letters."""
    text = re.sub(
        r'<munderover>(<mi>\w</mi>)((?:(?!munderover).)*?)(<mo stretchy="false">ˆ</mo>)</munderover>',
        r'<msub><mover accent="true">\1\3</mover>\2</msub>',
        text,
    )
    text = text.replace('<mo class="mathopen">|</mo>', '<mo form="prefix" stretchy="false">|</mo>')
    text = text.replace("<mo>|</mo>", '<mo form="postfix" stretchy="false">|</mo>')
    text = re.sub(r"(</(?!mo>)m\w+>)(<mi[^>]*>[A-Za-z]{2,}</mi><mo>&ApplyFunction;</mo>)", rf"\1{THIN}\2", text)
    return re.sub(r"<mo>&ApplyFunction;</mo>(?!<mo|<mrow><mo>[(\[{])", rf"\g<0>{THIN}", text)


def inline(self: Translator, node: nodes.math) -> None:
    """Writes an inline formula."""
    self.body.append(f'<span class="math notranslate nohighlight">{mathml(node, block=False)}</span>')
    raise nodes.SkipNode


def block(self: Translator, node: nodes.math_block) -> None:
    """Writes a displayed formula, with its number if it has a label."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    self.body.append(f'<div class="formula">{mathml(node, block=True)}</div>')
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers `html_math_renderer = "mathml"` with Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
