"""Mathematics as MathML, made while the pages are built.

Browsers draw MathML themselves (Firefox always did, Safari since 10, Chrome since 109), so readers need no script, no
font and no network, and can copy formulas. The translation from TeX is docutils' own (`math_output: MathML`), which
Sphinx brings anyway; Sphinx itself only offers a renderer that loads MathJax from elsewhere, or images made by LaTeX.
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
    """The formula of a node, on one line.

    Raises:
        ExtensionError: TeX that the translation does not know; the build stops there.
    """
    try:
        text = tex2mathml(node.astext().strip(), as_block=block)
    except MathError as error:
        raise ExtensionError(f"{node.source}:{node.line}: {error} in the formula {node.astext()!r}") from error
    return spaced("".join(line.strip() for line in text.splitlines()))


def spaced(text: str) -> str:
    """The formula with the thin spaces, fences and indices of accented letters that TeX would set."""
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
    """Writes a formula within a line."""
    self.body.append(f'<span class="math notranslate nohighlight">{mathml(node, block=False)}</span>')
    raise nodes.SkipNode


def block(self: Translator, node: nodes.math_block) -> None:
    """Writes a formula of its own, with its number where it has a label."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    self.body.append(f'<div class="formula">{mathml(node, block=True)}</div>')
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Tells Sphinx of `html_math_renderer = "mathml"`."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
