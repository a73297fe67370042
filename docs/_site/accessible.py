"""What furo's and Sphinx's HTML lacks for keyboards and screen readers."""

import re
from typing import Any

from sphinx.application import Sphinx

# The arguments of a long signature, which Sphinx writes as definitions.
LINES = re.compile(r'<dl>\n(?=<dd><em class="sig-param)(.*?)</dl>', re.DOTALL)
SCROLLING = re.compile(r'<pre\b|<div(?= class="table-wrapper)')


def mend(app: Sphinx, page: str, template: str, context: Any, tree: Any) -> None:
    """Mend the body, and the captions beside it, of a page."""
    body = LINES.sub(_as_lines, context.get("body", ""))
    context["body"] = SCROLLING.sub(r'\g<0> tabindex="0"', body)
    heading = 'role="heading"'
    captions = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = captions.replace(
        heading, f'{heading} aria-level="2"'
    )


def _as_lines(found: re.Match[str]) -> str:
    return found[1].replace("<dd>", '<span class="line">').replace("</dd>", "</span>")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it, after furo has made its context."""
    app.connect("html-page-context", mend, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
