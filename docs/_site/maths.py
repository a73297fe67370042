"""Formulas as MathML, which browsers draw without a script.

The font of the formulas is copied from the package `ziamath` into the site.
"""

import re
from pathlib import Path

import ziamath
from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

FONT = Path(ziamath.__file__).parent / "fonts" / "STIXTwoMath-Regular.ttf"
# The name of a function, unless a bracket follows; TeX adds a thin space.
FUNCTION = re.compile(r"(<mi>[a-z]{2,}</mi>)(?!<mo stretchy=\"false\">\()")


def mathml(formula: str, display: str) -> str:
    """A formula of TeX as MathML."""
    text = convert(formula, display=display)
    return FUNCTION.sub(r'\1<mspace width="0.17em"/>', text)


def inline(self: HTML5Translator, node: nodes.math) -> None:
    """A formula in a line of text."""
    self.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def block(self: HTML5Translator, node: nodes.math_block) -> None:
    """A formula on lines of its own, which scrolls if it is wider than the page."""
    formula = mathml(node.astext(), "block")
    self.body.append(f'<div class="formula" tabindex="0">{formula}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
